"""The kernels as functions of NumPy arrays: `fastnn_kernels` lists them."""
