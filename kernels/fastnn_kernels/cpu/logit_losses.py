"""Losses of logits, with their gradients: exact for large ones too. Definitions: ``reference/losses.py``."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cpu.columns import LANES, NARROW, column_block, lanes, load_columns, store_columns
from fastnn_kernels.cpu.floats import maximum, multiply_add, select
from fastnn_kernels.cpu.losses import fill_factors, kept, row_factor, skip_row
from fastnn_kernels.cpu.matmul.vectors import flat
from fastnn_kernels.cpu.options import interleaved_kernel, kernel, ordered_kernel
from fastnn_kernels.cpu.partition import span
from fastnn_kernels.cpu.rows import EXP, NOTHING, exp_row, largest_ahead, part_of, parts_of, per_part, quotient, scale_row
from fastnn_kernels.cpu.vector_math import exp_below_0, log, log1p


@kernel
def softmax_cross_entropy(logits, labels, weight, scale, loss, dlogits, ignore_class, accumulate, worker, workers):
    """Few classes by columns, many by rows."""
    classes = logits.shape[1]
    start, stop = span(logits.shape[0], LANES, worker, workers)
    if logits.shape[1] <= NARROW:
        for m in range(start, stop, LANES):
            x, t = column_block(logits), column_block(logits)
            rows = load_columns(logits, m, x)
            one_hot_columns(x, t, labels, m, rows, classes, ignore_class)
            softmax_cross_entropy_columns(x, t, classes, m, rows, weight, scale, loss, dlogits, accumulate)
        return
    x, gradient, scales, writes = flat(logits), flat(dlogits), per_part(logits), written(dlogits, accumulate)
    largest = largest_ahead(x, start, stop, classes)
    for m in range(start, stop):
        label, row = labels[m], np.uint64(m * classes)
        if label < 0 or label >= classes or label == ignore_class:
            skip_row(loss, dlogits, accumulate, m)
            largest = largest_ahead(x, m + 1, stop, classes)
            continue
        shift, total = exp_row(x, gradient, row, classes, largest, scales, writes)
        largest = largest_ahead(x, m + 1, stop, classes)
        loss[m] = minus_log_probability(logits[m, label], shift, log(total))
        if dlogits.size != 0:
            factor = row_factor(loss, weight, scale, m)
            if accumulate:
                add_softmax(x, gradient, row, classes, shift, quotient(factor, total))
            else:
                scale_row(gradient, row, classes, scales, quotient(factor, total))
            dlogits[m, label] -= factor


@kernel
def written(gradient, accumulate):
    """What `exp_row` is to write: nothing where there is no gradient, or an old one that counts."""
    return NOTHING if gradient.size == 0 or accumulate else EXP


@kernel
def add_softmax(x, gradient, row, classes, shift, factor):
    """Add factor * exp(x - shift) to a row of the gradient."""
    for i in range(row, row + np.uint64(classes)):
        gradient[i] += factor * exp_below_0(x[i] - shift)


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


@interleaved_kernel(2)
def softmax_cross_entropy_columns(x, t, classes, first, rows, weight, scale, loss, dlogits, accumulate):
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
            x[c, r] = exp_below_0(shifted)
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
        store_columns(x, rows, dlogits, first, accumulate)


@ordered_kernel
def minus_log_probability(x, shift, log_total):
    """As written: reordered, the sum of shift and logarithm would be rounded to the digits of large logits."""
    return log_total - (x - shift)


@kernel
def softmax_cross_entropy_dense(logits, target, weight, scale, loss, dlogits, label_smoothing, accumulate, worker, workers):
    dtype = logits.dtype.type
    classes, zero, one = logits.shape[1], dtype(0), dtype(1)
    keep, spread = dtype(1.0 - label_smoothing), dtype(label_smoothing / classes)
    start, stop = span(logits.shape[0], LANES, worker, workers)
    if logits.shape[1] <= NARROW:
        for m in range(start, stop, LANES):
            x, t = column_block(logits), column_block(logits)
            rows = load_columns(logits, m, x)
            load_columns(target, m, t)
            target_columns(t, rows, classes, label_smoothing, classes)
            softmax_cross_entropy_columns(x, t, classes, m, rows, weight, scale, loss, dlogits, accumulate)
        return
    x, gradient, scales, writes = flat(logits), flat(dlogits), per_part(logits), written(dlogits, accumulate)
    truth, parts, largest = flat(target), parts_of(classes), largest_ahead(x, start, stop, classes)
    for m in range(start, stop):
        row = np.uint64(m * classes)
        shift, total = exp_row(x, gradient, row, classes, largest, scales, writes)
        largest = largest_ahead(x, m + 1, stop, classes)
        log_total = log(total)
        value, target_sum = zero, zero
        for c in range(classes):
            t = target[m, c] * keep + spread
            target_sum += t
            value += t * minus_log_probability(logits[m, c], shift, log_total) if t != zero else zero
        loss[m] = value
        if dlogits.size != 0:
            factor = row_factor(loss, weight, scale, m)
            of_exp = factor * quotient(target_sum, total)
            if accumulate:
                add_softmax(x, gradient, row, classes, shift, of_exp)
            for p in range(parts):
                first, last = part_of(row, classes, parts, p)
                of_part = one if accumulate else of_exp * scales[p]
                for i in range(first, last):
                    gradient[i] = gradient[i] * of_part - factor * (truth[i] * keep + spread)


@interleaved_kernel(4)
def sigmoid_cross_entropy(logits, target, weight, scale, loss, dlogits, label_smoothing, accumulate, worker, workers):
    dtype = logits.dtype.type
    zero, classes = dtype(0), dtype(logits.shape[1])
    keep, spread = dtype(1.0 - label_smoothing), dtype(label_smoothing / 2.0)
    start, stop = span(logits.shape[0], LANES, worker, workers)
    if logits.shape[1] <= NARROW:
        for m in range(start, stop, LANES):
            x, t = column_block(logits), column_block(logits)
            rows = load_columns(logits, m, x)
            load_columns(target, m, t)
            target_columns(t, rows, logits.shape[1], label_smoothing, 2)
            sigmoid_cross_entropy_columns(x, t, logits.shape[1], m, rows, weight, scale, loss, dlogits, accumulate)
        return
    for m in range(np.uint64(start), np.uint64(stop)):
        value, factor = zero, row_factor(loss, weight, scale, m) / classes
        for c in range(logits.shape[1]):
            x, t = logits[m, c], target[m, c] * keep + spread
            e = exp_below_0(-abs(x))
            value += cross_entropy_of(x, t, e)
            if dlogits.size != 0:
                dlogits[m, c] = kept(dlogits, accumulate, m, c) + factor * (sigmoid_of(x, e) - t)
        loss[m] = value / classes


@kernel
def cross_entropy_of(x, t, e):
    """max(x, 0) - x * t + log(1 + exp(-|x|)), e being that exponential."""
    zero = type(x)(0)
    return multiply_add(-x, t, select(x <= zero, zero, x)) + log1p(e)


@kernel
def sigmoid_of(x, e):
    """1 / (1 + exp(-x)), e being exp(-|x|)."""
    one = type(x)(1)
    return select(x >= type(x)(0), one, e) / (one + e)


@interleaved_kernel(2)
def sigmoid_cross_entropy_columns(x, t, columns, first, rows, weight, scale, loss, dlogits, accumulate):
    """Loss and gradient of a block of logits and targets; the gradient takes the logits' place."""
    zero, classes = x.dtype.type(0), x.dtype.type(columns)
    value, factor = lanes(x), lanes(x)
    fill_factors(factor, weight, scale, first, rows, loss)
    for r in range(rows):
        value[r] = zero
        factor[r] /= classes
    for c in range(columns):
        for r in range(rows):
            e = exp_below_0(-abs(x[c, r]))
            value[r] += cross_entropy_of(x[c, r], t[c, r], e)
            x[c, r] = factor[r] * (sigmoid_of(x[c, r], e) - t[c, r])
    for r in range(rows):
        loss[first + r] = value[r] / classes
    if dlogits.size != 0:
        store_columns(x, rows, dlogits, first, accumulate)
