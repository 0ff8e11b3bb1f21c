"""Rounding to bfloat16, exhaustively; products of bfloat16 numbers, exactly. Cases against the reference: ``test_instructions``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastnn_kernels.cpu import execute as cpu
from fastnn_kernels.reference import execute as reference
from fastnn_kernels.reference.bfloat16 import widened
from numpy.typing import NDArray

ALL = np.arange(2**16, dtype=np.uint16)
EXPONENT, FRACTION = np.uint16(0x7F80), np.uint16(0x007F)
INFINITE, SUBNORMAL = ALL & EXPONENT == EXPONENT, ALL & EXPONENT == 0
NORMAL = ALL[~INFINITE & ~SUBNORMAL]

targets = pytest.mark.parametrize("execute", [cpu.execute, reference.execute], ids=["cpu", "reference"])


def rounded(execute: Callable[..., None], x: NDArray) -> NDArray[np.uint16]:
    out = np.full(x.shape, 0xFFFF, np.uint16)
    execute("to_bfloat16", {"x": x, "out": out}, {})
    return out


def behind(bits: NDArray[np.uint16], rest: int) -> NDArray[np.float32]:
    """The float32 whose upper half is ``bits``, and whose lower half is ``rest``."""
    return (bits.astype(np.uint32) << 16 | np.uint32(rest)).view(np.float32)


@targets
def test_every_bfloat16_stays_what_it_is(execute: Callable[..., None]) -> None:
    np.testing.assert_array_equal(rounded(execute, behind(NORMAL, 0)), NORMAL)
    infinities = ALL[INFINITE & (ALL & FRACTION == 0)]
    np.testing.assert_array_equal(rounded(execute, behind(infinities, 0)), infinities)


@targets
@pytest.mark.parametrize(("rest", "up"), [(1, 0), (0x7FFF, 0), (0x8001, 1), (0xFFFF, 1)])
def test_what_lies_between_two_numbers_becomes_the_nearer_one(execute: Callable[..., None], rest: int, up: int) -> None:
    """The neighbour further from 0 has the next bits; that of the largest number is infinity."""
    np.testing.assert_array_equal(rounded(execute, behind(NORMAL, rest)), NORMAL + np.uint16(up))


@targets
def test_what_lies_in_the_middle_becomes_the_even_one(execute: Callable[..., None]) -> None:
    np.testing.assert_array_equal(rounded(execute, behind(NORMAL, 0x8000)), NORMAL + (NORMAL & 1))


@targets
@pytest.mark.parametrize("rest", [0, 1, 0x8000, 0xFFFF])
def test_subnormals_become_zeros_and_nan_stays_nan(execute: Callable[..., None], rest: int) -> None:
    np.testing.assert_array_equal(rounded(execute, behind(ALL[SUBNORMAL], rest)), ALL[SUBNORMAL] & 0x8000)
    undefined = behind(ALL[INFINITE], rest)
    undefined = undefined[np.isnan(undefined)]
    found = rounded(execute, undefined)
    assert np.isnan(widened(found)).all()
    assert (found & 0x40).all()  # quiet
    np.testing.assert_array_equal(found >> 15, undefined.view(np.uint32) >> 31)


@targets
def test_random_numbers(execute: Callable[..., None]) -> None:
    """NumPy rounds to whole multiples of the last place, and of two to the even one."""
    bits = np.random.default_rng(0).integers(0, 2**32, 200_000, np.uint32)
    x = bits.view(np.float32)
    x = x[np.isfinite(x) & (np.abs(x) >= np.finfo(np.float32).tiny) & (np.abs(x) < 3e38)]
    _, exponent = np.frexp(x.astype(np.float64))
    last_place = np.ldexp(1.0, exponent - 8)
    np.testing.assert_array_equal(widened(rounded(execute, x)), np.rint(x.astype(np.float64) / last_place) * last_place)


PRODUCTS = [
    ("small", 5, 33, 17, 0, 0),
    ("both are packed in several blocks", 130, 1100, 270, 0, 0),
    ("both, transposed", 130, 1100, 270, 1, 1),
    ("whole tiles, a few rows left", 67, 130, 601, 0, 0),
    ("one row", 1, 1100, 300, 0, 0),
    ("one row, transposed b", 1, 1100, 300, 0, 1),
    ("two rows", 2, 1100, 300, 0, 0),
    ("two rows, transposed b", 2, 1100, 300, 0, 1),
]


@pytest.mark.parametrize(("path", "m", "k", "n", "transpose_a", "transpose_b"), PRODUCTS, ids=[path for path, *_ in PRODUCTS])
def test_products_of_whole_numbers_are_exact(path: str, m: int, k: int, n: int, transpose_a: int, transpose_b: int) -> None:
    """And those of others have the same bits for any number of workers."""
    rng = np.random.default_rng(m + k + n)
    a, b = rng.normal(size=(m, k)), rng.normal(size=(k, n))
    exact = np.rint(4 * a) @ np.rint(4 * b)
    np.testing.assert_array_equal(product(np.rint(4 * a), np.rint(4 * b), transpose_a, transpose_b), exact)
    results = [product(a, b, transpose_a, transpose_b, workers=workers).tobytes() for workers in (1, 2, 3, 7)]
    assert results[1:] == results[:1] * 3


def test_a_row_has_the_same_bits_alone_and_among_others() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(37, 700)), rng.normal(size=(700, 301))
    for transpose_b in (0, 1):
        whole = product(a, b, 0, transpose_b)
        for row in (0, 8, 36):
            np.testing.assert_array_equal(product(a[row : row + 1], b, 0, transpose_b)[0], whole[row])


def product(a: NDArray, b: NDArray, transpose_a: int, transpose_b: int, **options: Any) -> NDArray:
    """The product on the CPU, of the numbers rounded; out is full of NaN."""
    given = a.T if transpose_a else a, b.T if transpose_b else b
    bits = [rounded(cpu.execute, np.ascontiguousarray(each, np.float32).reshape(-1)).reshape(each.shape) for each in given]
    out = np.full((len(a), b.shape[1]), np.nan, np.float32)
    attributes = dict.fromkeys(("activation", "negative_slope", "accumulate", "precision"), 0)
    attributes |= {"transpose_a": transpose_a, "transpose_b": transpose_b}
    cpu.execute("matmul_bfloat16", {"a": bits[0], "b": bits[1], "out": out}, attributes, **options)
    return out


def test_a_program_of_float64_has_no_such_instructions() -> None:
    with pytest.raises(ValueError, match="operand 'x' is float64; to_bfloat16 takes float32 here"):
        cpu.execute("to_bfloat16", {"x": np.zeros(3), "out": np.zeros(3, np.uint16)}, {}, dtype="float64")
