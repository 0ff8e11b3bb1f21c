"""bfloat16: the upper half of a float32's bits (sign, 8 bits of exponent, 7 of the fraction), kept as uint16."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.reference.storage import Array

Bits = NDArray[np.uint16]
"""bfloat16 numbers, by their bits."""


def to_bfloat16(x: Array, out: Bits) -> None:
    """out = the nearest bfloat16, of two the even one; NaN stays NaN, infinities stay; subnormals become 0 with their sign."""
    bits = x.astype(np.float32).view(np.uint32)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    subnormal = bits & 0x7F800000 == 0
    out[...] = np.where(np.isnan(x), bits >> 16 | 0x40, np.where(subnormal, bits >> 16 & 0x8000, nearest))


def widened(bits: Bits) -> Array:
    """The numbers that ``bits`` are, exactly."""
    return (bits.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
