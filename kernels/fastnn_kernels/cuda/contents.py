"""What an array on the GPU holds, found there by instructions: a number or two come to the host, not the array."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastnn_kernels.cuda.arrays import DeviceArray, empty, to_device
from fastnn_kernels.cuda.call import call

PART = 1 << 22
"""Elements that are looked at together, where that takes memory."""

COLUMNS = 4096
"""Sums that the whole device makes at a time, before one block adds them."""


def all_finite(array: DeviceArray) -> bool:
    """Whether every element of a contiguous array of floats is finite, which is at a distance of 0 from itself: no other is."""
    return _all_at(array, lambda part: part)


def all_fractions(array: DeviceArray) -> bool:
    """Whether every element of a contiguous array of floats lies from 0 to 1; False where one is NaN."""
    return _all_at(array, _nearest_fractions)


def _nearest_fractions(values: DeviceArray) -> DeviceArray:
    nearest = empty(values.shape, values.dtype)
    call("relu", values.dtype, (values, nearest), values.shape, (0.0, 1.0, 0.0))
    return nearest


def _all_at(array: DeviceArray, places: Callable[[DeviceArray], DeviceArray]) -> bool:
    """Whether the sum of the distances of all elements from their ``places`` is 0."""
    flat, dtype, total = array.reshape(-1), array.dtype, to_device(np.zeros(2))
    distances = empty((min(flat.size, PART),), dtype)
    for start in range(0, flat.size, PART):
        part = flat[start : start + PART]
        found = distances[: part.size]
        call("mean_absolute_error", dtype, (part, places(part), None, None, found, None), (part.size, 1), (0,))
        _add(found, total)
    return float(total.copy_to_host()[0]) == 0.0


def _add(values: DeviceArray, total: DeviceArray) -> None:
    """Add the sum of ``values`` to the first element of ``total``, by way of sums of columns, which blocks share."""
    whole = values.size - values.size % COLUMNS
    for part in (values[:whole].reshape(-1, COLUMNS), values[whole:].reshape(1, -1)):
        if part.size:
            sums = empty(part.shape[1:], values.dtype)
            call("sum_rows", values.dtype, (part, sums), part.shape, (0,))
            call("accumulate_mean", values.dtype, (sums, None, total), sums.shape)
