"""Matrix multiplication, split as in BLIS: blocking, packing, micro-kernel, and the loops around it (``gemm``)."""
