"""The arithmetic of fastnn: kernels for NumPy arrays, and for arrays that lie on a GPU, usable on their own.

Names are resolved on first use, and Numba is imported only when a kernel has to be compiled. The first call of a function
compiles its kernel, which takes seconds, and keeps it on disk.

Every function takes arrays of NumPy, or arrays of CuPy, PyTorch, JAX or Numba that lie on an NVIDIA GPU, all of one call in one
place. There the results are `DeviceArray`s, ``out`` and what is updated may be arrays of any of these libraries, and ``workers``
are blocks of threads. Inputs are C-contiguous there; of ``matmul`` and of the weights of ``dense`` also transposed.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn_kernels.cuda.arrays import DeviceArray as DeviceArray
    from fastnn_kernels.cuda.arrays import to_device as to_device
    from fastnn_kernels.functions.activations import log_softmax as log_softmax
    from fastnn_kernels.functions.activations import log_softmax_backward as log_softmax_backward
    from fastnn_kernels.functions.activations import relu as relu
    from fastnn_kernels.functions.activations import relu_backward as relu_backward
    from fastnn_kernels.functions.activations import sigmoid as sigmoid
    from fastnn_kernels.functions.activations import sigmoid_backward as sigmoid_backward
    from fastnn_kernels.functions.activations import softmax as softmax
    from fastnn_kernels.functions.activations import softmax_backward as softmax_backward
    from fastnn_kernels.functions.activations import tanh as tanh
    from fastnn_kernels.functions.activations import tanh_backward as tanh_backward
    from fastnn_kernels.functions.bfloat16 import matmul_bfloat16 as matmul_bfloat16
    from fastnn_kernels.functions.bfloat16 import to_bfloat16 as to_bfloat16
    from fastnn_kernels.functions.losses import mean_squared_error as mean_squared_error
    from fastnn_kernels.functions.losses import sigmoid_cross_entropy as sigmoid_cross_entropy
    from fastnn_kernels.functions.losses import softmax_cross_entropy as softmax_cross_entropy
    from fastnn_kernels.functions.matmul import dense as dense
    from fastnn_kernels.functions.matmul import dense_backward as dense_backward
    from fastnn_kernels.functions.matmul import matmul as matmul
    from fastnn_kernels.functions.updates import adagrad as adagrad
    from fastnn_kernels.functions.updates import adam as adam
    from fastnn_kernels.functions.updates import rmsprop as rmsprop
    from fastnn_kernels.functions.updates import sgd as sgd

_HOMES = {
    "functions.matmul": ("matmul", "dense", "dense_backward"),
    "functions.bfloat16": ("matmul_bfloat16", "to_bfloat16"),
    "functions.activations": (
        *("relu", "relu_backward", "sigmoid", "sigmoid_backward", "tanh", "tanh_backward"),
        *("softmax", "softmax_backward", "log_softmax", "log_softmax_backward"),
    ),
    "functions.losses": ("softmax_cross_entropy", "sigmoid_cross_entropy", "mean_squared_error"),
    "functions.updates": ("sgd", "adagrad", "rmsprop", "adam"),
    "cuda.arrays": ("DeviceArray", "to_device"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = list(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name in _HOME_OF:
        value = getattr(_import_module(f"fastnn_kernels.{_HOME_OF[name]}"), name)
        globals()[name] = value
        return value
    import difflib

    close = [] if name.startswith("_") else difflib.get_close_matches(name, __all__, n=2)
    meant = f"Did you mean {' or '.join(map(repr, close))}? " if close else ""
    raise AttributeError(f"module 'fastnn_kernels' has no attribute {name!r}. {meant}It has: {', '.join(__all__)}.")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
