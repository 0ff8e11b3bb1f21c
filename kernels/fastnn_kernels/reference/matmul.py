"""Matrix multiplication with the epilogue a layer needs, and the gradient of a bias."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.instructions import ACTIVATION_RELU, ACTIVATION_SIGMOID, ACTIVATION_TANH
from fastnn_kernels.reference.activations import relu_of, sigmoid_of
from fastnn_kernels.reference.bfloat16 import Bits, widened
from fastnn_kernels.reference.storage import Array, float64, store


def matmul(
    a: Array,
    b: Array,
    bias: Array | None,
    scratch: Array | None,
    out: Array,
    transpose_a: int,
    transpose_b: int,
    activation: int,
    negative_slope: float,
    accumulate: int,
    precision: int,
) -> None:
    """out = activation(a @ b + bias); a is stored (K, M) if transpose_a, b is stored (N, K) if transpose_b.

    Neither scratch nor precision is used.
    """
    a, b = float64(a), float64(b)
    product = (a.T if transpose_a else a) @ (b.T if transpose_b else b)
    if bias is not None:
        product = product + float64(bias)
    if activation == ACTIVATION_RELU:
        product = relu_of(product, negative_slope)
    elif activation == ACTIVATION_SIGMOID:
        product = sigmoid_of(product)
    elif activation == ACTIVATION_TANH:
        product = np.tanh(product)
    store(out, product, accumulate)


def matmul_bfloat16(
    a: Bits,
    b: Bits,
    bias: Array | None,
    scratch: Array | None,
    out: Array,
    transpose_a: int,
    transpose_b: int,
    activation: int,
    negative_slope: float,
    accumulate: int,
    precision: int,
) -> None:
    """`matmul` of bfloat16 numbers."""
    matmul(widened(a), widened(b), bias, scratch, out, transpose_a, transpose_b, activation, negative_slope, accumulate, precision)


def sum_rows(x: Array, out: Array, accumulate: int) -> None:
    """out[n] = sum over m of x[m, n]."""
    store(out, float64(x).sum(axis=0), accumulate)
