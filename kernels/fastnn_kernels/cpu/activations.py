"""Activations and their gradients, elementwise; softmax over rows. Definitions: ``reference/activations.py``."""

from __future__ import annotations

from fastnn_kernels.cpu.floats import maximum
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.partition import ELEMENTS, ROWS, indices
from fastnn_kernels.cpu.vector_math import exp, log
from fastnn_kernels.cpu.vector_math import sigmoid as sigmoid_of
from fastnn_kernels.cpu.vector_math import tanh as tanh_of


@kernel
def relu(x, out, negative_slope, max_value, threshold, worker, workers):
    """Comparisons are such that NaN stays NaN; with a slope of 0 the lower part is 0, at -inf too."""
    dtype = x.dtype.type
    slope, top, bottom, zero = dtype(negative_slope), dtype(max_value), dtype(threshold), dtype(0)
    for i in indices(x.size, ELEMENTS, worker, workers):
        value = x[i]
        below = slope * (value - bottom) if slope != zero else zero
        y = below if value <= bottom else value
        out[i] = top if value >= top else y


@kernel
def relu_backward(x, dout, dx, negative_slope, max_value, threshold, accumulate, worker, workers):
    dtype = x.dtype.type
    slope, top, bottom = dtype(negative_slope), dtype(max_value), dtype(threshold)
    zero, one = dtype(0), dtype(1)
    for i in indices(x.size, ELEMENTS, worker, workers):
        factor = one if x[i] > bottom else slope
        gradient = dout[i] * (zero if x[i] >= top else factor)
        dx[i] = dx[i] + gradient if accumulate else gradient


@kernel
def sigmoid(x, out, worker, workers):
    for i in indices(x.size, ELEMENTS, worker, workers):
        out[i] = sigmoid_of(x[i])


@kernel
def sigmoid_backward(out, dout, dx, accumulate, worker, workers):
    one = out.dtype.type(1)
    for i in indices(out.size, ELEMENTS, worker, workers):
        gradient = dout[i] * (out[i] * (one - out[i]))
        dx[i] = dx[i] + gradient if accumulate else gradient


@kernel
def tanh(x, out, worker, workers):
    for i in indices(x.size, ELEMENTS, worker, workers):
        out[i] = tanh_of(x[i])


@kernel
def tanh_backward(out, dout, dx, accumulate, worker, workers):
    one = out.dtype.type(1)
    for i in indices(out.size, ELEMENTS, worker, workers):
        gradient = dout[i] * ((one - out[i]) * (one + out[i]))
        dx[i] = dx[i] + gradient if accumulate else gradient


@kernel
def row_maximum(x, m):
    """The largest element of x[m]; NaN if there is one."""
    largest = x[m, 0]
    for c in range(1, x.shape[1]):
        largest = maximum(largest, x[m, c])
    return largest


@kernel
def row_sum_of_exp(x, m, shift):
    """Sum of exp(x[m] - shift)."""
    total = x.dtype.type(0)
    for c in range(x.shape[1]):
        total += exp(x[m, c] - shift)
    return total


@kernel
def softmax(x, out, worker, workers):
    """Shifted by the row's maximum, so that no exponential overflows."""
    one = x.dtype.type(1)
    for m in indices(x.shape[0], ROWS, worker, workers):
        shift = row_maximum(x, m)
        total = x.dtype.type(0)
        for c in range(x.shape[1]):
            e = exp(x[m, c] - shift)
            out[m, c] = e
            total += e
        factor = one / total
        for c in range(x.shape[1]):
            out[m, c] *= factor


@kernel
def softmax_backward(out, dout, dx, accumulate, worker, workers):
    for m in indices(out.shape[0], ROWS, worker, workers):
        dot = out.dtype.type(0)
        for c in range(out.shape[1]):
            dot += out[m, c] * dout[m, c]
        for c in range(out.shape[1]):
            gradient = out[m, c] * (dout[m, c] - dot)
            dx[m, c] = dx[m, c] + gradient if accumulate else gradient


@kernel
def log_softmax(x, out, worker, workers):
    """In two passes: in one expression LLVM would subtract the sum of shift and logarithm, rounded to the shift's digits."""
    for m in indices(x.shape[0], ROWS, worker, workers):
        shift = row_maximum(x, m)
        total = x.dtype.type(0)
        for c in range(x.shape[1]):
            shifted = x[m, c] - shift
            out[m, c] = shifted
            total += exp(shifted)
        log_total = log(total)
        for c in range(x.shape[1]):
            out[m, c] -= log_total


@kernel
def log_softmax_backward(out, dout, dx, accumulate, worker, workers):
    for m in indices(out.shape[0], ROWS, worker, workers):
        total = out.dtype.type(0)
        for c in range(out.shape[1]):
            total += dout[m, c]
        for c in range(out.shape[1]):
            gradient = dout[m, c] - exp(out[m, c]) * total
            dx[m, c] = dx[m, c] + gradient if accumulate else gradient
