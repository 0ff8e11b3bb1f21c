"""matmul, dense and dense_backward against NumPy."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fastnn_kernels import dense, dense_backward, matmul, matmul_bfloat16, to_bfloat16
from fastnn_kernels.cpu.execute import CACHE_LINE, scratch_for
from fastnn_kernels.cpu.matmul.blocking import SCRATCH_ELEMENTS

ACTIVATIONS = {
    None: lambda x: x,
    "linear": lambda x: x,
    "relu": lambda x: np.maximum(x, 0.0),
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "tanh": np.tanh,
}


@pytest.mark.parametrize(("transpose_a", "transpose_b"), list(itertools.product((False, True), repeat=2)))
@pytest.mark.parametrize("order", ["C", "F"])
def test_product(transpose_a: bool, transpose_b: bool, order: str) -> None:
    """A column-major matrix is a transposed one: the same bits."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(33, 50)), rng.normal(size=(50, 21))
    stored_a, stored_b = (a.T.copy() if transpose_a else a), (b.T.copy() if transpose_b else b)
    stored_a, stored_b = np.asarray(stored_a, order=order), np.asarray(stored_b, order=order)
    out = matmul(stored_a, stored_b, transpose_a=transpose_a, transpose_b=transpose_b)
    np.testing.assert_allclose(out, a @ b, rtol=1e-13, atol=1e-13)
    np.testing.assert_array_equal(out, matmul(a, b))


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("shape", [(5,), (2, 5), (3, 4, 5), (0, 5), (2, 0, 5)])
def test_dense_on_the_last_axis(activation: str | None, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, kernel, bias = rng.normal(size=shape), rng.normal(size=(5, 3)), rng.normal(size=6)[::2]
    out = dense(x, kernel, bias, activation=activation)
    assert out.shape == (*shape[:-1], 3)
    np.testing.assert_allclose(out, ACTIVATIONS[activation](x @ kernel + bias), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("shape", [(4, 0, 3), (0, 4, 3), (0, 4, 300), (4, 3, 0)])
def test_empty_products(shape: tuple[int, int, int]) -> None:
    """A sum of no terms is 0."""
    m, k, n = shape
    out = matmul(np.ones((m, k)), np.ones((k, n)), bias=np.full(n, -2.0), activation="tanh", out=np.full((m, n), np.nan))
    np.testing.assert_allclose(out, np.full((m, n), np.tanh(-2.0)), rtol=1e-14)


@pytest.mark.parametrize("shape", [(5,), (7, 5), (3, 4, 5), (0, 5)])
def test_dense_backward(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, kernel, dout = rng.normal(size=shape), rng.normal(size=(5, 3)), rng.normal(size=(*shape[:-1], 3))
    rows, gradients = x.reshape(-1, 5), dout.reshape(-1, 3)
    wanted = (dout @ kernel.T, rows.T @ gradients, gradients.sum(axis=0))
    for result, value in zip(dense_backward(x, kernel, dout), wanted, strict=True):
        assert result.shape == value.shape
        np.testing.assert_allclose(result, value, rtol=1e-13, atol=1e-13)


def test_dense_backward_writes_what_it_is_given() -> None:
    """Here dx takes the place of x, dkernel is not contiguous and dbias is new."""
    rng = np.random.default_rng(0)
    x, kernel, dout = rng.normal(size=(9, 5)), rng.normal(size=(5, 3)), rng.normal(size=(9, 3))
    wanted = dense_backward(x, kernel, dout)
    out = (x, np.empty((3, 5)).T, None)
    results = dense_backward(x, kernel, dout, out=out)
    assert results[0] is x
    assert results[1] is out[1]
    for result, value in zip(results, wanted, strict=True):
        np.testing.assert_array_equal(result, value)


def test_dense_backward_refuses() -> None:
    x, kernel, dout = np.ones((4, 4)), np.ones((4, 4)), np.ones((4, 4))
    shared = np.empty((4, 4))
    with pytest.raises(ValueError, match="dx and dkernel share memory; each must have its own"):
        dense_backward(x, kernel, dout, out=(shared, shared, None))
    with pytest.raises(TypeError, match=r"out must be a tuple of three, \(dx, dkernel, dbias\)"):
        dense_backward(x, kernel, dout, out=shared)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"dkernel must have shape \(4, 4\)"):
        dense_backward(x, kernel, dout, out=(None, np.empty(4), None))
    with pytest.raises(ValueError, match=r"dout must have shape \(4, 4\), that of dense\(x, kernel\), got \(3, 4\)"):
        dense_backward(x, kernel, dout[1:])


@pytest.mark.parametrize(
    ("a", "b", "keywords", "message"),
    [
        ((3,), (3, 2), {}, r"a must have two axes, got shape \(3,\)"),
        ((2, 3), (2, 3, 4), {}, r"b must have two axes, got shape \(2, 3, 4\)"),
        ((2, 3), (4, 5), {}, r"a of shape \(2, 3\) and b of shape \(4, 5\) do not fit: 3 terms and 4"),
        ((2, 3), (3, 5), {"transpose_a": True}, r"do not fit: 2 terms and 3 \(transpose_a=True, transpose_b=False\)"),
        ((2, 3), (3, 5), {"bias": np.ones(4)}, r"bias must have shape \(5,\), one for each column of the result, got \(4,\)"),
        ((2, 3), (3, 5), {"activation": "gelu"}, "activation must be None, 'linear', 'relu', 'sigmoid' or 'tanh', got 'gelu'"),
        ((2, 3), (3, 5), {"activation": ["relu"]}, r"activation must be None, .* or 'tanh', got \['relu'\]"),
    ],
)
def test_matmul_refuses(a: tuple[int, ...], b: tuple[int, ...], keywords: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        matmul(np.ones(a), np.ones(b), **keywords)


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
def test_dense_refuses_another_number_of_features(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"x must have shape \(\.\.\., 4\) for a kernel of shape \(4, 2\), got"):
        dense(np.ones(shape), np.ones((4, 2)))


HALVES = np.float32([[1.5, -2.0, 0.25], [3.0, 8.0, -1.0]])
"""bfloat16 numbers, and their products and sums too."""

BITS = np.zeros((2, 3), np.uint16)


def test_products_of_bfloat16() -> None:
    a, b = to_bfloat16(HALVES), to_bfloat16(np.ascontiguousarray(HALVES.T))
    assert a.dtype == np.uint16
    exact = HALVES @ HALVES.T
    bias = np.float32([0.5, -100.0])
    np.testing.assert_array_equal(matmul_bfloat16(a, b), exact)
    np.testing.assert_array_equal(
        matmul_bfloat16(a, a, transpose_b=True, bias=bias, activation="relu"), np.maximum(exact + bias, 0)
    )
    np.testing.assert_array_equal(matmul_bfloat16(b.T, b), exact)
    np.testing.assert_array_equal(matmul_bfloat16(a, np.zeros((3, 0), np.uint16)), np.zeros((2, 0)))
    np.testing.assert_array_equal(matmul_bfloat16(a[:, :0], b[:0]), np.zeros((2, 2)))
    out = np.empty((4, 4), np.float32)[::2, ::2]
    assert matmul_bfloat16(a, b, out=out, workers=3) is out
    np.testing.assert_array_equal(out, exact)


def test_arrays_of_ml_dtypes_are_read() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="JAX and TensorFlow bring it")
    a = HALVES.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(matmul_bfloat16(a, a, transpose_b=True), HALVES @ HALVES.T)
    np.testing.assert_array_equal(to_bfloat16(HALVES).view(ml_dtypes.bfloat16), a)


def test_rounding_takes_any_layout_and_out() -> None:
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    wanted = (x.view(np.uint32) >> 16).astype(np.uint16)
    np.testing.assert_array_equal(to_bfloat16(x.T), wanted.T)
    np.testing.assert_array_equal(to_bfloat16(x[:, ::2]), wanted[:, ::2])
    assert to_bfloat16(np.float32(2.0)).shape == ()
    out = np.empty(x.shape, np.uint16)
    assert to_bfloat16(x, out=out) is out
    np.testing.assert_array_equal(out, wanted)
    over = x.copy()
    shared = over.view(np.uint16)[:, :6]
    np.testing.assert_array_equal(to_bfloat16(over, out=shared), wanted)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: to_bfloat16(np.zeros(3)), TypeError, r"x must be float32, got float64; np.asarray\(x, np.float32\) makes"),
        (lambda: to_bfloat16(HALVES, out=np.empty((2, 3), np.float32)), TypeError, "out must be uint16, that of the result, got"),
        (
            lambda: matmul_bfloat16(HALVES, HALVES),
            TypeError,
            r"a must be bfloat16, or its bits as uint16, got float32; to_bfloat16\(a\)",
        ),
        (lambda: matmul_bfloat16(BITS, BITS), ValueError, r"a of shape \(2, 3\) and b of shape \(2, 3\) do not fit"),
        (lambda: matmul_bfloat16(BITS[0], BITS), ValueError, "a must have two axes"),
        (
            lambda: matmul_bfloat16(BITS, BITS, transpose_b=True, bias=[1.0, 2.0]),
            *(TypeError, r"bias is float64, but out is float32; bias.astype\(out.dtype\) makes them equal"),
        ),
        (lambda: matmul_bfloat16(BITS, BITS, transpose_b=True, out=np.empty((2, 2))), TypeError, "out must be float32, that of"),
    ],
)
def test_other_arguments_of_bfloat16_are_refused(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_thread_keeps_the_scratch_of_one_worker() -> None:
    for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        kept = scratch_for(dtype, 1)
        assert scratch_for(dtype, 1) is kept
        assert (kept.dtype, kept.size) == (dtype, SCRATCH_ELEMENTS)
        for workers in (1, 3):
            assert scratch_for(dtype, workers).ctypes.data % CACHE_LINE == 0
            assert scratch_for(dtype, workers).size == workers * SCRATCH_ELEMENTS
        with ThreadPoolExecutor(1) as pool:
            assert not np.may_share_memory(pool.submit(scratch_for, dtype, 1).result(), kept)
