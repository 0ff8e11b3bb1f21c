"""Rounding to bfloat16. Definition: ``reference/bfloat16.py``."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cpu.floats import bits_of, select
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.partition import ELEMENTS, indices

UPPER = np.int32(16)
"""The half of a float32's bits that a bfloat16 is."""

BELOW_HALF, ONE = np.int32(0x7FFF), np.int32(1)
EXPONENT, SIGN, QUIET = np.int32(0x7F800000), np.int32(0x8000), np.int32(0x40)


@kernel
def to_bfloat16(x, out, worker, workers):
    for i in indices(x.size, ELEMENTS, worker, workers):
        bits = bits_of(x[i])
        upper = np.int32(bits >> UPPER)
        nearest = np.int32(np.int32(bits + np.int32(BELOW_HALF + (upper & ONE))) >> UPPER)
        normal = select(bits & EXPONENT == 0, np.int32(upper & SIGN), nearest)
        out[i] = np.uint16(select(x[i] != x[i], np.int32(upper | QUIET), normal))
