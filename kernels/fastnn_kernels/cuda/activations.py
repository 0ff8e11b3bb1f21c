"""Activations and their gradients, elementwise; softmax over rows. Definitions: ``reference/activations.py``."""

from __future__ import annotations

import math

from fastnn_kernels.cuda.block import maximum
from fastnn_kernels.cuda.quads import each, flat, load4, max4, quads, store4, store_gradient4, sum4
from fastnn_kernels.cuda.rows import columns_of, quads_of, row_lanes, row_max, row_of, row_starts, row_sum
from fastnn_kernels.cuda.target import kernel
from fastnn_kernels.cuda.vector_math import exp, log
from fastnn_kernels.cuda.vector_math import sigmoid as sigmoid_of
from fastnn_kernels.cuda.vector_math import tanh as tanh_of


@kernel
def relu_of(x, slope, top, bottom):
    """Comparisons are such that NaN stays NaN; with a slope of 0 the lower part is 0, at -inf too."""
    zero = type(x)(0)
    below = slope * (x - bottom) if slope != zero else zero
    y = below if x <= bottom else x
    return top if x >= top else y


relu_each = each(relu_of, 1, 3)


@kernel
def relu(x, out, negative_slope, max_value, threshold, worker, workers):
    dtype = x.dtype.type
    slope, top, bottom = dtype(negative_slope), dtype(max_value), dtype(threshold)
    for i in quads(0, x.size, worker, workers):
        store4(out, i, x.size, relu_each(load4(x, i, x.size, slope), slope, top, bottom))


@kernel
def relu_gradient(x, dout, slope, top, bottom):
    zero, one = type(x)(0), type(x)(1)
    factor = one if x > bottom else slope
    return dout * (zero if x >= top else factor)


relu_gradient_each = each(relu_gradient, 2, 3)


@kernel
def relu_backward(x, dout, dx, negative_slope, max_value, threshold, accumulate, worker, workers):
    dtype = x.dtype.type
    slope, top, bottom = dtype(negative_slope), dtype(max_value), dtype(threshold)
    for i in quads(0, x.size, worker, workers):
        values, gradients = load4(x, i, x.size, slope), load4(dout, i, x.size, slope)
        store_gradient4(dx, i, x.size, relu_gradient_each(values, gradients, slope, top, bottom), accumulate)


sigmoid_each = each(sigmoid_of, 1, 0)


@kernel
def sigmoid(x, out, worker, workers):
    zero = x.dtype.type(0)
    for i in quads(0, x.size, worker, workers):
        store4(out, i, x.size, sigmoid_each(load4(x, i, x.size, zero)))


@kernel
def sigmoid_gradient(out, dout):
    return dout * (out * (type(out)(1) - out))


sigmoid_gradient_each = each(sigmoid_gradient, 2, 0)


@kernel
def sigmoid_backward(out, dout, dx, accumulate, worker, workers):
    zero = out.dtype.type(0)
    for i in quads(0, out.size, worker, workers):
        gradient = sigmoid_gradient_each(load4(out, i, out.size, zero), load4(dout, i, out.size, zero))
        store_gradient4(dx, i, out.size, gradient, accumulate)


@kernel
def _tanh(x):
    return tanh_of(x)


tanh_each = each(_tanh, 1, 0)


@kernel
def tanh(x, out, worker, workers):
    zero = x.dtype.type(0)
    for i in quads(0, x.size, worker, workers):
        store4(out, i, x.size, tanh_each(load4(x, i, x.size, zero)))


@kernel
def tanh_gradient(out, dout):
    one = type(out)(1)
    return dout * ((one - out) * (one + out))


tanh_gradient_each = each(tanh_gradient, 2, 0)


@kernel
def tanh_backward(out, dout, dx, accumulate, worker, workers):
    zero = out.dtype.type(0)
    for i in quads(0, out.size, worker, workers):
        gradient = tanh_gradient_each(load4(out, i, out.size, zero), load4(dout, i, out.size, zero))
        store_gradient4(dx, i, out.size, gradient, accumulate)


@kernel
def shifted_exp(x, shift, factor):
    return factor * exp(x - shift)


shifted_exp_each = each(shifted_exp, 1, 2)


@kernel
def exp_sum(x, m, columns, lane, lanes):
    """``(max(x[m]), sum(exp(x[m] - max(x[m]))))`` of a flat matrix in one pass (Milakov and Gimelshein 2018).

    A maximum of -inf is not subtracted: a thread may have no element, or only such, and all the same have its part of a sum.
    """
    zero, one, lowest = x.dtype.type(0), x.dtype.type(1), x.dtype.type(-math.inf)
    largest, total = lowest, zero
    for i in quads_of(m, columns, lane, lanes):
        values = load4(x, i, m * columns + columns, lowest)
        before, largest = largest, maximum(largest, max4(values))
        shift = zero if largest == lowest else largest
        total = total * exp(before - shift) + sum4(shifted_exp_each(values, shift, one))
    largest_of_row = row_max(largest, lanes)
    shift = zero if largest_of_row == lowest else largest_of_row
    return largest_of_row, row_sum(total * exp(largest - shift), lanes)


@kernel
def softmax(x, out, worker, workers):
    """Shifted by the row's maximum, so that no exponential overflows."""
    rows, columns = x.shape
    x, out = flat(x), flat(out)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        shift, total = exp_sum(x, m, columns, lane, lanes)
        factor = x.dtype.type(1) / total
        if mine:
            stop = m * columns + columns
            for i in quads_of(m, columns, lane, lanes):
                store4(out, i, stop, shifted_exp_each(load4(x, i, stop, shift), shift, factor))


@kernel
def softmax_backward(out, dout, dx, accumulate, worker, workers):
    rows, columns = out.shape
    out, dout, dx = flat(out), flat(dout), flat(dx)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        dot = out.dtype.type(0)
        for i in columns_of(m, columns, lane, lanes):
            dot += out[i] * dout[i]
        dot = row_sum(dot, lanes)
        if mine:
            for i in columns_of(m, columns, lane, lanes):
                gradient = out[i] * (dout[i] - dot)
                dx[i] = dx[i] + gradient if accumulate else gradient


@kernel
def log_softmax_of(x, shift, log_total):
    return x - shift - log_total


log_softmax_each = each(log_softmax_of, 1, 2)


@kernel
def log_softmax(x, out, worker, workers):
    """Without the sum of shift and logarithm, which would be rounded to the shift's digits."""
    rows, columns = x.shape
    x, out = flat(x), flat(out)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        shift, total = exp_sum(x, m, columns, lane, lanes)
        log_total = log(total)
        if mine:
            stop = m * columns + columns
            for i in quads_of(m, columns, lane, lanes):
                store4(out, i, stop, log_softmax_each(load4(x, i, stop, shift), shift, log_total))


@kernel
def log_softmax_backward(out, dout, dx, accumulate, worker, workers):
    rows, columns = out.shape
    out, dout, dx = flat(out), flat(dout), flat(dx)
    lanes = row_lanes(columns)
    for first in row_starts(rows, lanes, worker, workers):
        m, mine, lane = row_of(first, rows, lanes)
        total = out.dtype.type(0)
        for i in columns_of(m, columns, lane, lanes):
            total += dout[i]
        total = row_sum(total, lanes)
        if mine:
            for i in columns_of(m, columns, lane, lanes):
                gradient = dout[i] - exp(out[i]) * total
                dx[i] = dx[i] + gradient if accumulate else gradient
