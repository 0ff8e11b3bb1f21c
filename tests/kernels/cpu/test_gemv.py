"""Products of few rows: panels, and what is left of the columns, have the bits of the general path."""

from __future__ import annotations

import numpy as np
import pytest
from fastnn_kernels.cpu.matmul import gemm, gemv
from fastnn_kernels.cpu.matmul.blocking import SCRATCH_ELEMENTS
from fastnn_kernels.cpu.matmul.vectors import TILE
from numpy.typing import NDArray

DTYPES = ("float32", "float64")
TERMS = (1, 25, 784, 1100)
"""784 and 1100 are two and three blocks of terms."""

RELU, TANH = 1, 3


def factors(rows: int, terms: int, columns: int, dtype: str) -> tuple[NDArray, NDArray, NDArray]:
    rng = np.random.default_rng(terms + columns)
    shapes = (rows, terms), (terms, columns), (columns,)
    a, b, bias = (rng.normal(size=shape).astype(dtype) for shape in shapes)
    return a, b, bias


def product(
    a: NDArray,
    b: NDArray,
    bias: NDArray,
    activation: int = 0,
    slope: float = 0.0,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    workers: int = 1,
) -> NDArray:
    """``activation(a @ b + bias)``, a and b stored transposed or not; scratch and out are full of NaN."""
    scratch, out = np.full(SCRATCH_ELEMENTS * workers, np.nan, a.dtype), np.full((len(a), b.shape[1]), np.nan, a.dtype)
    left, right = (np.ascontiguousarray(x.T) if turned else x for x, turned in ((a, transpose_a), (b, transpose_b)))
    for worker in range(workers):
        gemm.matmul(left, right, bias, scratch, out, transpose_a, transpose_b, activation, slope, 0, 0, worker, workers)
    return out


def columns_of(dtype: str) -> int:
    """Two long panels, a short one and a part of one."""
    lanes = TILE.vector_bytes // np.dtype(dtype).itemsize
    return (2 * gemv.LONG + gemv.SHORT) * lanes + lanes + 3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize(("rows", "transpose_b"), [(1, False), (2, False), (1, True)])
def test_a_row_has_the_bits_it_has_among_others(rows: int, transpose_b: bool, terms: int, dtype: str) -> None:
    a, b, bias = factors(11, terms, columns_of(dtype), dtype)
    for activation, slope in ((0, 0.0), (RELU, 0.0), (RELU, 0.25), (TANH, 0.0)):
        whole = product(a, b, bias, activation, slope)
        few = product(a[3 : 3 + rows], b, bias, activation, slope, transpose_b=transpose_b)
        np.testing.assert_array_equal(few, whole[3 : 3 + rows])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "transpose_b"), [(1, False), (2, False), (1, True)])
def test_the_bits_do_not_depend_on_the_workers(rows: int, transpose_b: bool, dtype: str) -> None:
    a, b, bias = factors(rows, 784, 3 * columns_of(dtype), dtype)
    results = [product(a, b, bias, RELU, transpose_b=transpose_b, workers=workers).tobytes() for workers in (1, 2, 3, 7)]
    assert results[1:] == results[:1] * 3


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("transpose_a", [False, True])
def test_a_column_has_the_bits_it_has_among_others(transpose_a: bool, terms: int, dtype: str) -> None:
    a, b, bias = factors(columns_of(dtype), terms, 20, dtype)
    for activation, slope in ((0, 0.0), (RELU, 0.0), (RELU, 0.25), (TANH, 0.0)):
        whole = product(a, b, bias, activation, slope, transpose_a=transpose_a)
        column, its_bias = np.ascontiguousarray(b[:, 7:8]), bias[7:8].copy()
        for transpose_b, workers in ((False, 1), (True, 1), (False, 2), (False, 7)):
            one = product(
                a, column, its_bias, activation, slope, transpose_a=transpose_a, transpose_b=transpose_b, workers=workers
            )  # fmt: skip
            np.testing.assert_array_equal(one, whole[:, 7:8])


@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_are_exact_and_are_added_to_what_is_there(dtype: str) -> None:
    a, b, _ = factors(1, 1100, columns_of(dtype), dtype)
    a, b, out = np.rint(4 * a), np.rint(4 * b), np.ones((1, b.shape[1]), dtype)
    for added, (stored, transpose_b) in enumerate(((b, 0), (np.ascontiguousarray(b.T), 1)), start=1):
        gemm.matmul(
            a, stored, np.zeros(0, dtype), np.full(SCRATCH_ELEMENTS, np.nan, dtype), out, 0, transpose_b, 0, 0.0, 1, 0, 0, 1
        )
        np.testing.assert_array_equal(out, added * (a @ b) + 1)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_inf_show_in_their_column_alone(bad: float) -> None:
    a, b, bias = factors(1, 600, columns_of("float32"), "float32")
    b[550, 33] = bad
    out = product(a, b, bias)
    assert np.flatnonzero(~np.isfinite(out[0])).tolist() == [33]
