"""Metrics with values of their own: one value a row. Losses used as metrics are in ``losses``."""

from __future__ import annotations

import math

import numpy as np

from fastnn_kernels.cuda.quads import flat
from fastnn_kernels.cuda.rows import columns_of, row_lanes, row_max, row_of, row_starts, row_sum
from fastnn_kernels.cuda.target import kernel


@kernel
def binary_accuracy(pred, target, value, threshold, worker, workers):
    rows, columns = pred.shape
    dtype = pred.dtype.type
    limit, zero, one = dtype(threshold), dtype(0), dtype(1)
    p, t = flat(pred), flat(target)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        hits = zero
        for i in columns_of(m, columns, lane, lanes):
            hits += one if (one if p[i] > limit else zero) == t[i] else zero
        hits = row_sum(hits, lanes)
        if mine and lane == 0:
            value[m] = hits / dtype(columns)


@kernel
def argmax(x, m, columns, lane, lanes):
    """Where row ``m`` of a flat matrix is largest: the first of equal ones, the first NaN if there is one."""
    largest, place = x.dtype.type(-math.inf), columns
    for i in columns_of(m, columns, lane, lanes):
        candidate, column = x[i], np.int64(i) - m * columns
        if candidate > largest or (candidate != candidate and largest == largest) or place == columns:
            largest, place = candidate, column
    of_row = row_max(largest, lanes)
    if not (largest == of_row or largest != largest):
        place = columns
    return -row_max(-place, lanes)


@kernel
def categorical_accuracy(pred, target, value, worker, workers):
    rows, columns = pred.shape
    zero, one = pred.dtype.type(0), pred.dtype.type(1)
    p, t = flat(pred), flat(target)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        hit = argmax(p, m, columns, lane, lanes) == argmax(t, m, columns, lane, lanes)
        if mine and lane == 0:
            value[m] = one if hit else zero


@kernel
def sparse_categorical_accuracy(pred, labels, value, worker, workers):
    rows, columns = pred.shape
    zero, one = pred.dtype.type(0), pred.dtype.type(1)
    p = flat(pred)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        hit = argmax(p, m, columns, lane, lanes) == labels[m]
        if mine and lane == 0:
            value[m] = one if hit else zero
