"""Elementary functions of one number: libdevice's on a GPU, NumPy's in the simulator, in the argument's own precision.

Largest errors of libdevice's float32 functions, in units in the last place (CUDA programming guide, "Mathematical functions"):
exp 2, log 1, log1p 1, tanh 2; the square root is rounded correctly. Subnormals are kept.
"""

from __future__ import annotations

import math

import numpy as np

from fastnn_kernels.cuda.target import SIMULATED, kernel

_library = np if SIMULATED else math

exp, log, log1p, sqrt, tanh, isfinite = (getattr(_library, name) for name in ("exp", "log", "log1p", "sqrt", "tanh", "isfinite"))


@kernel
def sigmoid(x):
    """1 / (1 + exp(-x)), with an exponential that never overflows."""
    zero, one = type(x)(0), type(x)(1)
    e = exp(-abs(x))
    return (one if x >= zero else e) / (one + e)
