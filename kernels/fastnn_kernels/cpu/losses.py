"""Losses: one value a row, and the gradient of scale * sum(weight * loss). Definitions: ``reference/losses.py``.

Those of logits are in ``logit_losses``. Each worker takes whole rows. A row that is read more than once is in the nearest cache by
then: that is one pass over memory.
"""

from __future__ import annotations

from fastnn_kernels.cpu.floats import select
from fastnn_kernels.cpu.options import interleaved_kernel, kernel, ordered_kernel
from fastnn_kernels.cpu.partition import ROWS, indices
from fastnn_kernels.cpu.vector_math import log
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
def fill_factors(factor, weight, scale, first, rows, loss):
    """`row_factor` of the rows of a block."""
    for r in range(rows):
        factor[r] = loss.dtype.type(1) if scale.size == 0 else scale[0]
    if weight.size != 0:
        for r in range(rows):
            factor[r] *= weight[first + r]


@kernel
def clear_row(gradient, accumulate, m):
    """Gradients are added to their row; unless the old value counts, to 0. Cheaper to compile than two forms of every loop."""
    if not accumulate:
        for c in range(gradient.shape[1]):
            gradient[m, c] = gradient.dtype.type(0)


@kernel
def kept(gradient, accumulate, m, c):
    """The old value of a gradient that is written in the pass that reads the row: 0 unless it counts.

    The losses whose gradient has a pass of its own use `clear_row`: in one pass binary cross-entropy ran at 0.83 times its speed
    where no gradient was asked for.
    """
    return select(accumulate != 0, gradient[m, c], gradient.dtype.type(0))


@kernel
def skip_row(loss, gradient, accumulate, m):
    """A row that does not count: a loss of 0, a gradient of 0."""
    loss[m] = loss.dtype.type(0)
    if gradient.size != 0:
        clear_row(gradient, accumulate, m)


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


@interleaved_kernel(2)
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
        value, factor = dtype(0), row_factor(loss, weight, scale, m) * (two / classes)
        for c in range(pred.shape[1]):
            difference = pred[m, c] - target[m, c]
            value += difference * difference
            if dpred.size != 0:
                dpred[m, c] = kept(dpred, accumulate, m, c) + factor * difference
        loss[m] = value / classes


@kernel
def mean_absolute_error(pred, target, weight, scale, loss, dpred, accumulate, worker, workers):
    """The sign of 0 is 0, of NaN NaN."""
    dtype = pred.dtype.type
    zero, one, classes = dtype(0), dtype(1), dtype(pred.shape[1])
    for m in indices(pred.shape[0], ROWS, worker, workers):
        value, factor = zero, row_factor(loss, weight, scale, m) / classes
        for c in range(pred.shape[1]):
            difference = pred[m, c] - target[m, c]
            value += abs(difference)
            if dpred.size != 0:
                sign = select(difference > zero, one, select(difference < zero, -one, difference))
                dpred[m, c] = kept(dpred, accumulate, m, c) + factor * sign
        loss[m] = value / classes
