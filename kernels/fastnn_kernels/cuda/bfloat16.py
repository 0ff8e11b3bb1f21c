"""Rounding to bfloat16. Definition: ``reference/bfloat16.py``."""

from __future__ import annotations

from fastnn_kernels.cuda.quads import each, load4, quads, store4
from fastnn_kernels.cuda.target import kernel, ptx

EXPONENT, SIGN, QUIET, BELOW_HALF = 0x7F800000, 0x8000, 0x40, 0x7FFF


@kernel
def rounded(x):
    """The bits of the nearest bfloat16."""
    bits = ptx.bits_of(x)
    upper = bits >> 16
    nearest = (bits + BELOW_HALF + (upper & 1)) >> 16
    normal = nearest if bits & EXPONENT != 0 else upper & SIGN
    return ptx.uint16(normal if x == x else upper | QUIET)


rounded_each = each(rounded, 1, 0)


@kernel
def to_bfloat16(x, out, worker, workers):
    zero = x.dtype.type(0)
    for i in quads(0, x.size, worker, workers):
        store4(out, i, x.size, rounded_each(load4(x, i, x.size, zero)))
