"""Activations and their gradients. Formulas: Keras 3, ``keras/src/activations/activations.py``."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.reference.storage import Array, float64, store


def relu(x: Array, out: Array, negative_slope: float, max_value: float, threshold: float) -> None:
    """out = max_value if x >= max_value, x if x > threshold, negative_slope * (x - threshold) otherwise; NaN stays NaN."""
    out[...] = relu_of(float64(x), negative_slope, max_value, threshold)


def relu_of(x: Array, negative_slope: float, max_value: float = np.inf, threshold: float = 0.0) -> Array:
    """The values of `relu`; with a slope of 0 the lower part is 0, at -inf too."""
    below = negative_slope * (x - threshold) if negative_slope else np.where(np.isnan(x), x, 0.0)
    return np.where(x >= max_value, max_value, np.where(x > threshold, x, below))


def relu_backward(
    x: Array, dout: Array, dx: Array, negative_slope: float, max_value: float, threshold: float, accumulate: int
) -> None:
    """dx = dout * (0 if x >= max_value, 1 if x > threshold, negative_slope otherwise)."""
    x = float64(x)
    slope = np.where(x >= max_value, 0.0, np.where(x > threshold, 1.0, negative_slope))
    store(dx, slope * float64(dout), accumulate)


def sigmoid(x: Array, out: Array) -> None:
    """out = 1 / (1 + exp(-x))."""
    out[...] = sigmoid_of(float64(x))


def sigmoid_of(x: Array) -> Array:
    """The values of `sigmoid`, with an exponential that never overflows."""
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, e) / (1.0 + e)


def sigmoid_backward(out: Array, dout: Array, dx: Array, accumulate: int) -> None:
    """dx = dout * out * (1 - out)."""
    out = float64(out)
    store(dx, float64(dout) * out * (1.0 - out), accumulate)


def tanh(x: Array, out: Array) -> None:
    """out = tanh(x)."""
    out[...] = np.tanh(float64(x))


def tanh_backward(out: Array, dout: Array, dx: Array, accumulate: int) -> None:
    """dx = dout * (1 - out**2)."""
    store(dx, float64(dout) * (1.0 - float64(out) ** 2), accumulate)


def softmax(x: Array, out: Array) -> None:
    """out[m] = exp(x[m]) / sum(exp(x[m])), shifted by max(x[m]) (Bridle 1990)."""
    out[...] = np.exp(log_softmax_of(float64(x)))


def log_softmax_of(x: Array) -> Array:
    """x[m] - log(sum(exp(x[m]))), shifted by max(x[m])."""
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def softmax_backward(out: Array, dout: Array, dx: Array, accumulate: int) -> None:
    """dx[m] = out[m] * (dout[m] - sum(out[m] * dout[m]))."""
    out, dout = float64(out), float64(dout)
    store(dx, out * (dout - (out * dout).sum(axis=1, keepdims=True)), accumulate)


def log_softmax(x: Array, out: Array) -> None:
    """out[m] = x[m] - log(sum(exp(x[m]))), shifted by max(x[m])."""
    out[...] = log_softmax_of(float64(x))


def log_softmax_backward(out: Array, dout: Array, dx: Array, accumulate: int) -> None:
    """dx[m] = dout[m] - exp(out[m]) * sum(dout[m])."""
    out, dout = float64(out), float64(dout)
    store(dx, dout - np.exp(out) * dout.sum(axis=1, keepdims=True), accumulate)
