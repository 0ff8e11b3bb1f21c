"""Activations and their gradients, elementwise. Definitions: ``reference/activations.py``."""

from __future__ import annotations

from fastnn_kernels.cpu.options import interleaved_kernel, kernel
from fastnn_kernels.cpu.partition import ELEMENTS, indices
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


@interleaved_kernel(4)
def sigmoid(x, out, worker, workers):
    for i in indices(x.size, ELEMENTS, worker, workers):
        out[i] = sigmoid_of(x[i])


@kernel
def sigmoid_backward(out, dout, dx, accumulate, worker, workers):
    one = out.dtype.type(1)
    for i in indices(out.size, ELEMENTS, worker, workers):
        gradient = dout[i] * (out[i] * (one - out[i]))
        dx[i] = dx[i] + gradient if accumulate else gradient


@interleaved_kernel(2)
def tanh(x, out, worker, workers):
    for i in indices(x.size, ELEMENTS, worker, workers):
        out[i] = tanh_of(x[i])


@kernel
def tanh_backward(out, dout, dx, accumulate, worker, workers):
    one = out.dtype.type(1)
    for i in indices(out.size, ELEMENTS, worker, workers):
        gradient = dout[i] * ((one - out[i]) * (one + out[i]))
        dx[i] = dx[i] + gradient if accumulate else gradient
