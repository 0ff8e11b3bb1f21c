"""What an array on the GPU holds, found there by instructions: a number or two come to the host, not the array."""

from __future__ import annotations

import math

import numpy as np

from fastnn_kernels.cuda.arrays import DeviceArray, empty, to_device
from fastnn_kernels.cuda.call import call

PART = 1 << 22
"""Elements that are looked at together, where that takes memory."""


def total_of(array: DeviceArray) -> float:
    """The sum of a contiguous array of floats, in float64: not finite if an element is not."""
    total = to_device(np.zeros(2))
    call("accumulate_mean", array.dtype, (array, None, total), (array.size,))
    return float(total.copy_to_host()[0])


def all_finite(array: DeviceArray) -> bool:
    """Whether every element of a contiguous array of floats is finite; also False where their sum is too large for a float64."""
    return math.isfinite(total_of(array))


def all_fractions(array: DeviceArray) -> bool:
    """Whether every element of a contiguous array of floats lies from 0 to 1; False where one is NaN."""
    flat = array.reshape(-1)
    return all(_distance(flat[start : start + PART]) == 0.0 for start in range(0, flat.size, PART))


def _distance(values: DeviceArray) -> float:
    """The sum of the distances from [0, 1]."""
    size, dtype = values.size, values.dtype
    nearest, distances = empty((size,), dtype), empty((size,), dtype)
    call("relu", dtype, (values, nearest), (size,), (0.0, 1.0, 0.0))
    call("mean_absolute_error", dtype, (values, nearest, None, None, distances, None), (size, 1), (0,))
    return total_of(distances)
