"""Metrics with values of their own: one value a row. Losses used as metrics are in ``losses``."""

from __future__ import annotations

from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.partition import ROWS, indices


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
    place = 0
    largest = x[m, 0]
    for c in range(1, x.shape[1]):
        candidate = x[m, c]
        if candidate > largest or (candidate != candidate and largest == largest):
            largest = candidate
            place = c
    return place


@kernel
def categorical_accuracy(pred, target, value, worker, workers):
    for m in indices(pred.shape[0], ROWS, worker, workers):
        value[m] = argmax(pred, m) == argmax(target, m)


@kernel
def sparse_categorical_accuracy(pred, labels, value, worker, workers):
    for m in indices(pred.shape[0], ROWS, worker, workers):
        value[m] = argmax(pred, m) == labels[m]
