"""Metrics with values of their own: one value a row. Losses used as metrics are in ``losses``."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cpu.floats import maximum
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.partition import ROWS, indices

WIDE = 32
"""From so many classes on, two passes that vectorise are faster than one with branches."""


@kernel
def binary_accuracy(pred, target, value, threshold, worker, workers):
    dtype = pred.dtype.type
    limit, zero, one = dtype(threshold), dtype(0), dtype(1)
    for m in indices(pred.shape[0], ROWS, worker, workers):
        hits = 0
        for c in range(pred.shape[1]):
            hits += (one if pred[m, c] > limit else zero) == target[m, c]
        value[m] = hits / pred.shape[1]


@kernel
def argmax(x, m):
    """Where x[m] is largest: the first of equal ones, the first NaN if there is one."""
    columns = x.shape[1]
    largest = x[m, 0]
    if columns < WIDE:
        place = 0
        for c in range(1, columns):
            candidate = x[m, c]
            if candidate > largest or (candidate != candidate and largest == largest):
                largest = candidate
                place = c
        return place
    for c in range(np.uint64(1), np.uint64(columns)):
        largest = maximum(largest, x[m, c])
    first = np.int32(columns)
    for c in range(np.uint64(columns)):
        here = np.int32(c) if x[m, c] == largest or x[m, c] != x[m, c] else np.int32(columns)
        first = min(first, here)
    return np.int64(first)


@kernel
def categorical_accuracy(pred, target, value, worker, workers):
    for m in indices(pred.shape[0], ROWS, worker, workers):
        value[m] = argmax(pred, m) == argmax(target, m)


@kernel
def sparse_categorical_accuracy(pred, labels, value, worker, workers):
    for m in indices(pred.shape[0], ROWS, worker, workers):
        value[m] = argmax(pred, m) == labels[m]
