"""Losses: one value a row, and the gradient of scale * sum(weight * loss). Definitions: ``reference/losses.py``.

A row is read again for its gradient, then from the nearest cache: that is one pass over memory.
"""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cuda.activations import exp_sum, shifted_exp_each
from fastnn_kernels.cuda.block import block_sum, indices, thread
from fastnn_kernels.cuda.quads import flat, load4, store_gradient4
from fastnn_kernels.cuda.rows import columns_of, quads_of, row_lanes, row_of, row_starts, row_sum
from fastnn_kernels.cuda.target import kernel
from fastnn_kernels.cuda.vector_math import exp, log, log1p, sigmoid
from fastnn_kernels.instructions import EPSILON, REDUCTION_MEAN, REDUCTION_SUM


@kernel
def loss_scale(weight, labels, scale, rows, reduction, factor, ignore_class, worker, workers):
    """The divisor is summed in float64; 0 makes a scale of 0."""
    divisor = 1.0
    if reduction != REDUCTION_SUM:
        weighted = weight.size != 0 and reduction != REDUCTION_MEAN
        divisor = sum_of_counted(weight, labels, rows, weighted, ignore_class)
    if thread() == 0:
        scale[0] = factor / divisor if divisor != 0.0 else 0.0


@kernel
def sum_of_counted(weight, labels, rows, weighted, ignore_class):
    """Sum of the weights, or of ones, of the rows whose label is not ``ignore_class``."""
    total = 0.0
    for m in indices(rows, 0, 1):
        if labels.size == 0 or labels[m] != ignore_class:
            total += np.float64(weight[m]) if weighted else 1.0
    return block_sum(total)


@kernel
def row_factor(loss, weight, scale, m):
    """scale * weight[m]; what is absent is 1."""
    factor = loss.dtype.type(1)
    if scale.size != 0:
        factor = scale[0]
    if weight.size != 0:
        factor *= weight[m]
    return factor


@kernel
def store_gradient(dx, i, gradient, accumulate):
    """``dx[i] = gradient``, or ``+=``."""
    dx[i] = dx[i] + gradient if accumulate else gradient


@kernel
def label_of(labels, m, classes, ignore_class):
    """The label of row ``m``; -1 where the row does not count."""
    label = labels[m]
    return -1 if label < 0 or label >= classes or label == ignore_class else label


@kernel
def softmax_cross_entropy(logits, labels, weight, scale, loss, dlogits, ignore_class, accumulate, worker, workers):
    """The label's share of the gradient is taken off by the thread that wrote the rest of it."""
    rows, classes = logits.shape
    zero = logits.dtype.type(0)
    x, dx = flat(logits), flat(dlogits)
    lanes = row_lanes(classes)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        label = label_of(labels, m, classes, ignore_class)
        shift, total = exp_sum(x, m, classes, lane, lanes)
        start, stop = m * classes, m * classes + classes
        if mine and lane == 0:
            loss[m] = log(total) - (x[start + label] - shift) if label >= 0 else zero
        if mine and dx.size != 0 and label >= 0:
            factor = row_factor(loss, weight, scale, m)
            of_exp = factor / total
            for i in quads_of(m, classes, lane, lanes):
                gradient = shifted_exp_each(load4(x, i, stop, shift), shift, of_exp)
                store_gradient4(dx, i, stop, gradient, accumulate)
            if label // 4 % lanes == lane:
                dx[start + label] -= factor
        elif mine and dx.size != 0 and not accumulate:
            for i in columns_of(m, classes, lane, lanes):
                dx[i] = zero


@kernel
def softmax_cross_entropy_dense(logits, target, weight, scale, loss, dlogits, label_smoothing, accumulate, worker, workers):
    rows, classes = logits.shape
    dtype = logits.dtype.type
    zero, keep, spread = dtype(0), dtype(1.0 - label_smoothing), dtype(label_smoothing / classes)
    x, t, dx = flat(logits), flat(target), flat(dlogits)
    lanes = row_lanes(classes)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        shift, total = exp_sum(x, m, classes, lane, lanes)
        log_total = log(total)
        value, target_sum = zero, zero
        for i in columns_of(m, classes, lane, lanes):
            smoothed = t[i] * keep + spread
            target_sum += smoothed
            value += smoothed * (log_total - (x[i] - shift)) if smoothed != zero else zero
        value, target_sum = row_sum(value, lanes), row_sum(target_sum, lanes)
        if mine and lane == 0:
            loss[m] = value
        if mine and dx.size != 0:
            factor = row_factor(loss, weight, scale, m)
            of_exp = target_sum / total
            for i in columns_of(m, classes, lane, lanes):
                gradient = factor * (of_exp * exp(x[i] - shift) - (t[i] * keep + spread))
                store_gradient(dx, i, gradient, accumulate)


@kernel
def sigmoid_cross_entropy(logits, target, weight, scale, loss, dlogits, label_smoothing, accumulate, worker, workers):
    rows, columns = logits.shape
    dtype = logits.dtype.type
    zero, classes = dtype(0), dtype(columns)
    keep, spread = dtype(1.0 - label_smoothing), dtype(label_smoothing / 2.0)
    x, t, dx = flat(logits), flat(target), flat(dlogits)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        value = zero
        for i in columns_of(m, columns, lane, lanes):
            positive = zero if x[i] <= zero else x[i]
            value += positive - x[i] * (t[i] * keep + spread) + log1p(exp(-abs(x[i])))
        value = row_sum(value, lanes)
        if mine and lane == 0:
            loss[m] = value / classes
        if mine and dx.size != 0:
            factor = row_factor(loss, weight, scale, m) / classes
            for i in columns_of(m, columns, lane, lanes):
                gradient = factor * (sigmoid(x[i]) - (t[i] * keep + spread))
                store_gradient(dx, i, gradient, accumulate)


@kernel
def clip_probability(p):
    """p kept within [EPSILON, 1 - EPSILON]; NaN stays NaN."""
    low, high = type(p)(EPSILON), type(p)(1.0 - EPSILON)
    raised = low if p < low else p
    return high if raised > high else raised


@kernel
def sparse_categorical_cross_entropy(pred, labels, weight, scale, loss, dpred, ignore_class, accumulate, worker, workers):
    """Of dq only the label's entry is not 0: -1 / q, unless clipped."""
    rows, classes = pred.shape
    zero, one = pred.dtype.type(0), pred.dtype.type(1)
    p, dx = flat(pred), flat(dpred)
    lanes = row_lanes(classes)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        label, start = label_of(labels, m, classes, ignore_class), m * classes
        total = zero
        for i in columns_of(m, classes, lane, lanes):
            total += p[i]
        total = row_sum(total, lanes)
        counts = label >= 0
        q = p[start + label] / total if counts else one
        clipped = clip_probability(q)
        if mine and lane == 0:
            loss[m] = -log(clipped) if counts else zero
        if mine and dx.size != 0:
            factor = row_factor(loss, weight, scale, m) / total
            of_all = one if clipped == q else zero
            for i in columns_of(m, classes, lane, lanes):
                gradient = factor * (of_all - of_all / clipped if i == start + label else of_all)
                if counts:
                    store_gradient(dx, i, gradient, accumulate)
                elif not accumulate:
                    dx[i] = zero


@kernel
def categorical_cross_entropy(pred, target, weight, scale, loss, dpred, label_smoothing, accumulate, worker, workers):
    """dq = -t / q, 0 where q is clipped; dpred = (dq - sum(dq * q)) / sum(pred)."""
    rows, classes = pred.shape
    dtype = pred.dtype.type
    zero, keep, spread = dtype(0), dtype(1.0 - label_smoothing), dtype(label_smoothing / classes)
    p, t, dx = flat(pred), flat(target), flat(dpred)
    lanes = row_lanes(classes)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        total = zero
        for i in columns_of(m, classes, lane, lanes):
            total += p[i]
        total = row_sum(total, lanes)
        value, of_all = zero, zero
        for i in columns_of(m, classes, lane, lanes):
            q, smoothed = p[i] / total, t[i] * keep + spread
            clipped = clip_probability(q)
            value -= smoothed * log(clipped)
            of_all += smoothed if clipped == q else zero
        value, of_all = row_sum(value, lanes), row_sum(of_all, lanes)
        if mine and lane == 0:
            loss[m] = value
        if mine and dx.size != 0:
            factor = row_factor(loss, weight, scale, m) / total
            for i in columns_of(m, classes, lane, lanes):
                q, smoothed = p[i] / total, t[i] * keep + spread
                gradient = factor * (of_all - smoothed / q if clip_probability(q) == q else of_all)
                store_gradient(dx, i, gradient, accumulate)


@kernel
def binary_cross_entropy(pred, target, weight, scale, loss, dpred, label_smoothing, accumulate, worker, workers):
    rows, columns = pred.shape
    dtype = pred.dtype.type
    zero, one, classes = dtype(0), dtype(1), dtype(columns)
    keep, spread = dtype(1.0 - label_smoothing), dtype(label_smoothing / 2.0)
    x, t, dx = flat(pred), flat(target), flat(dpred)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        value = zero
        for i in columns_of(m, columns, lane, lanes):
            p, smoothed = clip_probability(x[i]), t[i] * keep + spread
            value -= smoothed * log(p) + (one - smoothed) * log(one - p)
        value = row_sum(value, lanes)
        if mine and lane == 0:
            loss[m] = value / classes
        if mine and dx.size != 0:
            factor = row_factor(loss, weight, scale, m) / classes
            for i in columns_of(m, columns, lane, lanes):
                p, smoothed = clip_probability(x[i]), t[i] * keep + spread
                gradient = factor * ((p - smoothed) / (p * (one - p)) if p == x[i] else zero)
                store_gradient(dx, i, gradient, accumulate)


@kernel
def mean_squared_error(pred, target, weight, scale, loss, dpred, accumulate, worker, workers):
    rows, columns = pred.shape
    dtype = pred.dtype.type
    two, classes = dtype(2), dtype(columns)
    p, t, dx = flat(pred), flat(target), flat(dpred)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        value = dtype(0)
        for i in columns_of(m, columns, lane, lanes):
            difference = p[i] - t[i]
            value += difference * difference
        value = row_sum(value, lanes)
        if mine and lane == 0:
            loss[m] = value / classes
        if mine and dx.size != 0:
            factor = row_factor(loss, weight, scale, m) * (two / classes)
            for i in columns_of(m, columns, lane, lanes):
                store_gradient(dx, i, factor * (p[i] - t[i]), accumulate)


@kernel
def mean_absolute_error(pred, target, weight, scale, loss, dpred, accumulate, worker, workers):
    """The sign of 0 is 0, of NaN NaN."""
    rows, columns = pred.shape
    dtype = pred.dtype.type
    zero, one, classes = dtype(0), dtype(1), dtype(columns)
    p, t, dx = flat(pred), flat(target), flat(dpred)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        value = zero
        for i in columns_of(m, columns, lane, lanes):
            value += abs(p[i] - t[i])
        value = row_sum(value, lanes)
        if mine and lane == 0:
            loss[m] = value / classes
        if mine and dx.size != 0:
            factor = row_factor(loss, weight, scale, m) / classes
            for i in columns_of(m, columns, lane, lanes):
                difference = p[i] - t[i]
                sign = one if difference > zero else (-one if difference < zero else difference)
                store_gradient(dx, i, factor * sign, accumulate)
