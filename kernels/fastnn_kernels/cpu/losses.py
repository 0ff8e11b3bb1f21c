"""Losses: one value a row, and the gradient of scale * sum(weight * loss). Definitions: ``reference/losses.py``.

Each worker takes whole rows. A row is read two or three times while it is in the nearest cache: that is one pass over memory.
"""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cpu.activations import row_maximum, row_sum_of_exp
from fastnn_kernels.cpu.columns import LANES, NARROW, column_block, lanes, load_columns, store_columns
from fastnn_kernels.cpu.floats import maximum, multiply_add, select
from fastnn_kernels.cpu.options import kernel, ordered_kernel
from fastnn_kernels.cpu.partition import ROWS, indices, span
from fastnn_kernels.cpu.vector_math import exp, log, log1p, sigmoid
from fastnn_kernels.instructions import EPSILON, REDUCTION_MEAN, REDUCTION_SUM


@kernel
def loss_scale(weight, labels, scale, rows, reduction, factor, ignore_class, worker, workers):
    """The divisor is summed in float64; 0 makes a scale of 0."""
    divisor = 1.0
    if reduction != REDUCTION_SUM:
        weighted = weight.size != 0 and reduction != REDUCTION_MEAN
        divisor = sum_of_counted(weight, labels, rows, weighted, ignore_class)
    scale[0] = factor / divisor if divisor != 0.0 else 0.0


@ordered_kernel
def sum_of_counted(weight, labels, rows, weighted, ignore_class):
    """Sum of the weights, or of ones, of the rows whose label is not ``ignore_class``."""
    if labels.size == 0 and not weighted:
        return float(rows)
    total = 0.0
    for m in range(rows):
        if labels.size == 0 or labels[m] != ignore_class:
            total += weight[m] if weighted else 1.0
    return total


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
def clear_row(gradient, accumulate, m):
    """Gradients are added to their row; unless the old value counts, to 0. Cheaper to compile than two forms of every loop."""
    if not accumulate:
        for c in range(gradient.shape[1]):
            gradient[m, c] = gradient.dtype.type(0)


@kernel
def skip_row(loss, gradient, accumulate, m):
    """A row that does not count: a loss of 0, a gradient of 0."""
    loss[m] = loss.dtype.type(0)
    if gradient.size != 0:
        clear_row(gradient, accumulate, m)


@kernel
def softmax_cross_entropy(logits, labels, weight, scale, loss, dlogits, ignore_class, accumulate, worker, workers):
    """Few classes by columns, many by rows."""
    classes = logits.shape[1]
    start, stop = span(logits.shape[0], LANES, worker, workers)
    if logits.shape[1] <= NARROW and not accumulate:
        for m in range(start, stop, LANES):
            x, t = column_block(logits), column_block(logits)
            rows = load_columns(logits, m, x)
            one_hot_columns(x, t, labels, m, rows, classes, ignore_class)
            softmax_cross_entropy_columns(x, t, classes, m, rows, weight, scale, loss, dlogits)
        return
    for m in range(np.uint64(start), np.uint64(stop)):
        label = labels[m]
        if label < 0 or label >= classes or label == ignore_class:
            skip_row(loss, dlogits, accumulate, m)
            continue
        shift = row_maximum(logits, m)
        total = row_sum_of_exp(logits, m, shift)
        loss[m] = log(total) - (logits[m, label] - shift)
        if dlogits.size != 0:
            clear_row(dlogits, accumulate, m)
            factor = row_factor(loss, weight, scale, m)
            of_exp = factor / total
            for c in range(classes):
                gradient = of_exp * exp(logits[m, c] - shift)
                dlogits[m, c] += gradient
            dlogits[m, label] -= factor


@kernel
def one_hot_columns(x, t, labels, first, rows, classes, ignore_class):
    """Targets of labels; rows that do not count have none, and their logits become 0, whatever they were."""
    zero, one = t.dtype.type(0), t.dtype.type(1)
    for c in range(classes):
        for r in range(rows):
            t[c, r] = zero
    for r in range(rows):
        label = labels[first + r]
        if label < 0 or label >= classes or label == ignore_class:
            for c in range(classes):
                x[c, r] = zero
        else:
            t[label, r] = one


@kernel
def target_columns(t, rows, classes, label_smoothing, smoothed_over):
    """Smooth a block of targets: t * (1 - s) + s / smoothed_over."""
    dtype = t.dtype.type
    keep, spread = dtype(1.0 - label_smoothing), dtype(label_smoothing / smoothed_over)
    for c in range(classes):
        for r in range(rows):
            t[c, r] = t[c, r] * keep + spread


@kernel
def softmax_cross_entropy_columns(x, t, classes, first, rows, weight, scale, loss, dlogits):
    """Loss and gradient of a block of logits and targets; the gradient takes the logits' place."""
    zero = x.dtype.type(0)
    shift, total, target_sum, picked, factor = lanes(x), lanes(x), lanes(x), lanes(x), lanes(x)
    for r in range(rows):
        shift[r] = x[0, r]
        total[r] = target_sum[r] = picked[r] = zero
    for c in range(1, classes):
        for r in range(rows):
            shift[r] = maximum(shift[r], x[c, r])
    for c in range(classes):
        for r in range(rows):
            shifted = x[c, r] - shift[r]
            x[c, r] = exp(shifted)
            total[r] += x[c, r]
            target_sum[r] += t[c, r]
            picked[r] += t[c, r] * shifted if t[c, r] != zero else zero
    for r in range(rows):
        picked[r] = target_sum[r] * log(total[r]) - picked[r]
    for r in range(rows):
        loss[first + r] = picked[r]
    if dlogits.size != 0:
        fill_factors(factor, weight, scale, first, rows, loss)
        for r in range(rows):
            target_sum[r] = target_sum[r] / total[r]
        for c in range(classes):
            for r in range(rows):
                x[c, r] = factor[r] * (target_sum[r] * x[c, r] - t[c, r])
        store_columns(x, rows, dlogits, first)


@kernel
def fill_factors(factor, weight, scale, first, rows, loss):
    """`row_factor` of the rows of a block."""
    for r in range(rows):
        factor[r] = loss.dtype.type(1) if scale.size == 0 else scale[0]
    if weight.size != 0:
        for r in range(rows):
            factor[r] *= weight[first + r]


@ordered_kernel
def minus_log_probability(x, shift, log_total):
    """As written: reordered, the sum of shift and logarithm would be rounded to the digits of large logits."""
    return log_total - (x - shift)


@kernel
def softmax_cross_entropy_dense(logits, target, weight, scale, loss, dlogits, label_smoothing, accumulate, worker, workers):
    dtype = logits.dtype.type
    classes, zero = logits.shape[1], dtype(0)
    keep, spread = dtype(1.0 - label_smoothing), dtype(label_smoothing / classes)
    start, stop = span(logits.shape[0], LANES, worker, workers)
    if logits.shape[1] <= NARROW and not accumulate:
        for m in range(start, stop, LANES):
            x, t = column_block(logits), column_block(logits)
            rows = load_columns(logits, m, x)
            load_columns(target, m, t)
            target_columns(t, rows, classes, label_smoothing, classes)
            softmax_cross_entropy_columns(x, t, classes, m, rows, weight, scale, loss, dlogits)
        return
    for m in range(np.uint64(start), np.uint64(stop)):
        shift = row_maximum(logits, m)
        total = row_sum_of_exp(logits, m, shift)
        log_total = log(total)
        value, target_sum = zero, zero
        for c in range(classes):
            t = target[m, c] * keep + spread
            target_sum += t
            value += t * minus_log_probability(logits[m, c], shift, log_total) if t != zero else zero
        loss[m] = value
        if dlogits.size != 0:
            clear_row(dlogits, accumulate, m)
            factor = row_factor(loss, weight, scale, m)
            of_exp = target_sum / total
            for c in range(classes):
                gradient = factor * (of_exp * exp(logits[m, c] - shift) - (target[m, c] * keep + spread))
                dlogits[m, c] += gradient


@kernel
def sigmoid_cross_entropy(logits, target, weight, scale, loss, dlogits, label_smoothing, accumulate, worker, workers):
    dtype = logits.dtype.type
    zero, classes = dtype(0), dtype(logits.shape[1])
    keep, spread = dtype(1.0 - label_smoothing), dtype(label_smoothing / 2.0)
    start, stop = span(logits.shape[0], LANES, worker, workers)
    if logits.shape[1] <= NARROW and not accumulate:
        for m in range(start, stop, LANES):
            x, t = column_block(logits), column_block(logits)
            rows = load_columns(logits, m, x)
            load_columns(target, m, t)
            target_columns(t, rows, logits.shape[1], label_smoothing, 2)
            sigmoid_cross_entropy_columns(x, t, logits.shape[1], m, rows, weight, scale, loss, dlogits)
        return
    for m in range(np.uint64(start), np.uint64(stop)):
        value = zero
        for c in range(logits.shape[1]):
            x, t = logits[m, c], target[m, c] * keep + spread
            positive = zero if x <= zero else x
            value += multiply_add(-x, t, positive) + log1p(exp(-abs(x)))
        loss[m] = value / classes
        if dlogits.size != 0:
            clear_row(dlogits, accumulate, m)
            factor = row_factor(loss, weight, scale, m) / classes
            for c in range(logits.shape[1]):
                gradient = factor * (sigmoid(logits[m, c]) - (target[m, c] * keep + spread))
                dlogits[m, c] += gradient


@kernel
def sigmoid_cross_entropy_columns(x, t, columns, first, rows, weight, scale, loss, dlogits):
    """Loss and gradient of a block of logits and targets; the gradient takes the logits' place."""
    zero, classes = x.dtype.type(0), x.dtype.type(columns)
    value, factor = lanes(x), lanes(x)
    fill_factors(factor, weight, scale, first, rows, loss)
    for r in range(rows):
        value[r] = zero
        factor[r] /= classes
    for c in range(columns):
        for r in range(rows):
            positive = zero if x[c, r] <= zero else x[c, r]
            value[r] += multiply_add(-x[c, r], t[c, r], positive) + log1p(exp(-abs(x[c, r])))
            x[c, r] = factor[r] * (sigmoid(x[c, r]) - t[c, r])
    for r in range(rows):
        loss[first + r] = value[r] / classes
    if dlogits.size != 0:
        store_columns(x, rows, dlogits, first)


@kernel
def row_sum(x, m):
    """Sum of x[m]."""
    total = x.dtype.type(0)
    for c in range(x.shape[1]):
        total += x[m, c]
    return total


@kernel
def clip_probability(p):
    """p kept within [EPSILON, 1 - EPSILON]; NaN stays NaN."""
    low, high = type(p)(EPSILON), type(p)(1.0 - EPSILON)
    raised = select(p < low, low, p)
    return select(raised > high, high, raised)


@kernel
def sparse_categorical_cross_entropy(pred, labels, weight, scale, loss, dpred, ignore_class, accumulate, worker, workers):
    """Of dq only the label's entry is not 0: -1 / q, unless clipped."""
    dtype = pred.dtype.type
    zero, one, classes = dtype(0), dtype(1), pred.shape[1]
    for m in indices(pred.shape[0], ROWS, worker, workers):
        label = labels[m]
        if label < 0 or label >= classes or label == ignore_class:
            skip_row(loss, dpred, accumulate, m)
            continue
        total = row_sum(pred, m)
        q = pred[m, label] / total
        clipped = clip_probability(q)
        loss[m] = -log(clipped)
        if dpred.size != 0:
            clear_row(dpred, accumulate, m)
            factor = row_factor(loss, weight, scale, m) / total
            of_all = one if clipped == q else zero
            for c in range(classes):
                gradient = factor * (of_all - of_all / clipped if c == label else of_all)
                dpred[m, c] += gradient


@kernel
def categorical_cross_entropy(pred, target, weight, scale, loss, dpred, label_smoothing, accumulate, worker, workers):
    """dq = -t / q, 0 where q is clipped; dpred = (dq - sum(dq * q)) / sum(pred)."""
    dtype = pred.dtype.type
    zero, classes = dtype(0), pred.shape[1]
    keep, spread = dtype(1.0 - label_smoothing), dtype(label_smoothing / classes)
    for m in indices(pred.shape[0], ROWS, worker, workers):
        total = row_sum(pred, m)
        value, of_all = zero, zero
        for c in range(classes):
            q, t = pred[m, c] / total, target[m, c] * keep + spread
            clipped = clip_probability(q)
            value -= t * log(clipped)
            of_all += t if clipped == q else zero
        loss[m] = value
        if dpred.size != 0:
            clear_row(dpred, accumulate, m)
            factor = row_factor(loss, weight, scale, m) / total
            for c in range(classes):
                q, t = pred[m, c] / total, target[m, c] * keep + spread
                gradient = factor * (of_all - t / q if clip_probability(q) == q else of_all)
                dpred[m, c] += gradient


@kernel
def binary_cross_entropy(pred, target, weight, scale, loss, dpred, label_smoothing, accumulate, worker, workers):
    dtype = pred.dtype.type
    zero, one, classes = dtype(0), dtype(1), dtype(pred.shape[1])
    keep, spread = dtype(1.0 - label_smoothing), dtype(label_smoothing / 2.0)
    for m in indices(pred.shape[0], ROWS, worker, workers):
        value = zero
        for c in range(pred.shape[1]):
            p, t = clip_probability(pred[m, c]), target[m, c] * keep + spread
            value -= t * log(p) + (one - t) * log(one - p)
        loss[m] = value / classes
        if dpred.size != 0:
            clear_row(dpred, accumulate, m)
            factor = row_factor(loss, weight, scale, m) / classes
            for c in range(pred.shape[1]):
                p, t = clip_probability(pred[m, c]), target[m, c] * keep + spread
                gradient = factor * ((p - t) / (p * (one - p)) if p == pred[m, c] else zero)
                dpred[m, c] += gradient


@kernel
def mean_squared_error(pred, target, weight, scale, loss, dpred, accumulate, worker, workers):
    dtype = pred.dtype.type
    two, classes = dtype(2), dtype(pred.shape[1])
    for m in indices(pred.shape[0], ROWS, worker, workers):
        value = dtype(0)
        for c in range(pred.shape[1]):
            difference = pred[m, c] - target[m, c]
            value += difference * difference
        loss[m] = value / classes
        if dpred.size != 0:
            clear_row(dpred, accumulate, m)
            factor = row_factor(loss, weight, scale, m) * (two / classes)
            for c in range(pred.shape[1]):
                gradient = factor * (pred[m, c] - target[m, c])
                dpred[m, c] += gradient


@kernel
def mean_absolute_error(pred, target, weight, scale, loss, dpred, accumulate, worker, workers):
    """The sign of 0 is 0, of NaN NaN."""
    dtype = pred.dtype.type
    zero, one, classes = dtype(0), dtype(1), dtype(pred.shape[1])
    for m in indices(pred.shape[0], ROWS, worker, workers):
        value = zero
        for c in range(pred.shape[1]):
            value += abs(pred[m, c] - target[m, c])
        loss[m] = value / classes
        if dpred.size != 0:
            clear_row(dpred, accumulate, m)
            factor = row_factor(loss, weight, scale, m) / classes
            for c in range(pred.shape[1]):
                difference = pred[m, c] - target[m, c]
                sign = one if difference > zero else (-one if difference < zero else difference)
                gradient = factor * sign
                dpred[m, c] += gradient
