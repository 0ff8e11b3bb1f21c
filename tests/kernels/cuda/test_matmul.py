"""Inside matmul: tiles, banks, and the two ways to multiply large ones. Whole products: ``test_kernels``."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

ATTRIBUTES = {"activation": 0, "negative_slope": 0.0, "accumulate": 0, "precision": 0}


def product(a: NDArray, b: NDArray, transpose_a: int = 0, transpose_b: int = 0) -> NDArray:
    from fastnn_kernels.cuda.execute import execute

    out = np.full((a.shape[1 if transpose_a else 0], b.shape[0 if transpose_b else 1]), np.nan, a.dtype)
    execute("matmul", {"a": a, "b": b, "out": out}, {**ATTRIBUTES, "transpose_a": transpose_a, "transpose_b": transpose_b})
    return out


def numbers(rows: int, columns: int, seed: int) -> NDArray:
    return np.random.default_rng(seed).normal(size=(rows, columns)).astype(np.float32)


@pytest.mark.parametrize(("transpose_a", "transpose_b"), [(0, 0), (1, 1)])
def test_large_tiles_without_tensor_cores(transpose_a: int, transpose_b: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastnn_kernels.cuda import target

    if not target.SIMULATED:
        pytest.skip("a GPU has them or has not")
    monkeypatch.setattr(target.ptx, "architecture", lambda: 75)
    a, b = numbers(37, 21, 1), numbers(21, 50, 2)
    found = product(a.T.copy() if transpose_a else a, b.T.copy() if transpose_b else b, transpose_a, transpose_b)
    exact, terms = a.astype(float) @ b, np.abs(a).astype(float) @ np.abs(b)
    assert (np.abs(found - exact) <= 2.0**-21 * terms).all()


def test_tensor_cores_are_as_exact_as_float32() -> None:
    """Whole tiles, aligned; a rounding to 10 bits would be off by 2**-11 of a term."""
    a, b = numbers(64, 96, 3), numbers(96, 64, 4)
    exact, terms = a.astype(float) @ b, np.abs(a).astype(float) @ np.abs(b)
    assert (np.abs(product(a, b) - exact) <= 2.0**-21 * terms).all()


def test_infinite_terms_and_numbers_that_round_to_infinity() -> None:
    """0 * inf is NaN; inf * 2 is inf though the rest of inf is NaN; the largest number times 1/2 is finite."""
    largest = float(np.finfo(np.float32).max)
    a, b = np.zeros((64, 32), np.float32), np.full((32, 64), 0.5, np.float32)
    a[1, 3], a[2, 3], a[3, 3], a[4, 3] = np.inf, -np.inf, np.nan, largest
    b[3, :32] = 0.0
    found = product(a, b)
    assert np.isnan(found[1:4, :32]).all()
    assert (found[1, 32:] == np.inf).all()
    assert (found[2, 32:] == -np.inf).all()
    assert np.isnan(found[3, 32:]).all()
    assert (found[4, 32:] == largest / 2).all()
    assert (found[5:] == 0.0).all()


def test_tiles_fill_a_block_and_fit_shared_memory() -> None:
    from fastnn_kernels.cuda.block import THREADS
    from fastnn_kernels.cuda.matmul.blocking import (
        LARGE,
        SHARED_BYTES,
        SHARED_ELEMENTS,
        SMALL,
        TENSOR_SHARED_ELEMENTS,
        TENSOR_SIZES,
        TENSOR_TILES,
    )

    for tile in (LARGE, SMALL):
        assert tile.groups * tile.members == THREADS
        assert tile.depth % (4 * tile.groups) == 0
        assert tile.groups * tile.rows * tile.columns <= SHARED_ELEMENTS
    assert LARGE.groups == 1
    assert LARGE.depth % 16 == 0
    assert 8 * SHARED_ELEMENTS <= SHARED_BYTES
    for sizes, tile in zip(TENSOR_SIZES[THREADS], TENSOR_TILES, strict=True):
        assert (tile.rows, tile.columns) == sizes[:2]
        assert tile.groups * tile.members == THREADS
        assert tile.rows * tile.depth % (4 * THREADS) == tile.columns * tile.depth % (4 * THREADS) == 0
        assert tile.stages > 1
    assert 4 * TENSOR_SHARED_ELEMENTS + 8 <= SHARED_BYTES  # and a word to tell who came last


@pytest.mark.parametrize("number", range(3))
def test_what_tensor_cores_read_of_a_copied_slab_lies_in_different_banks(number: int) -> None:
    """The lanes (g, t) of a warp read item g of term t, in lines of terms as in lines of items."""
    from fastnn_kernels.cuda.matmul.blocking import BANKS, TENSOR_SIZES, TensorTile

    tile = TensorTile(*TENSOR_SIZES[256][number])
    for items in (tile.rows, tile.columns):
        along, across = tile.stride(items, along_terms=True), tile.stride(items, along_terms=False)
        assert len({(g * along + t) % BANKS for t in range(4) for g in range(8)}) == BANKS
        assert len({(t * across + g) % BANKS for t in range(4) for g in range(8)}) == BANKS


@pytest.mark.parametrize("padding", [4, 8])
def test_flips(padding: int) -> None:
    from fastnn_kernels.cuda.matmul.blocking import Tile
    from fastnn_kernels.cuda.matmul.packing import flip_of
    from fastnn_kernels.cuda.target import SIMULATED

    if not SIMULATED:
        pytest.skip("the kernel is compiled")
    tile = Tile(64, 64, padding)
    assert [flip_of(tile)(term) for term in range(64)] == [tile.flip(term) for term in range(64)]


@pytest.mark.parametrize("shift", [0, 1, 8])
@pytest.mark.parametrize(("transpose_a", "transpose_b"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_products_of_bfloat16_begin_anywhere(transpose_a: int, transpose_b: int, shift: int) -> None:
    """With edges on all sides; on tensor cores where the address is a multiple of 16."""
    from fastnn_kernels.cuda.execute import execute

    rng = np.random.default_rng(shift)
    a, b = (rng.integers(-8, 9, shape).astype(np.float32) for shape in ((72, 40), (40, 136)))
    out = np.full((72, 136), np.nan, np.float32)
    given = {"a": upper_halves(a.T if transpose_a else a), "b": upper_halves(b.T if transpose_b else b), "out": out}
    attributes = {**ATTRIBUTES, "transpose_a": transpose_a, "transpose_b": transpose_b}
    execute("matmul_bfloat16", given, attributes, shift=shift)
    np.testing.assert_array_equal(out, a @ b)


def upper_halves(numbers: NDArray) -> NDArray[np.uint16]:
    """Whole numbers up to 256, as bfloat16."""
    return np.ascontiguousarray((np.ascontiguousarray(numbers).view(np.uint32) >> 16).astype(np.uint16))


@pytest.mark.parametrize("chunks", [4, 8, 16])
def test_the_rows_of_a_slab_that_are_read_at_a_time_lie_in_different_banks(chunks: int) -> None:
    """Eight rows, a chunk of 16 bytes of each."""
    from fastnn_kernels.cuda.matmul.blocking import BANKS
    from fastnn_kernels.cuda.matmul.slabs import swizzle_of
    from fastnn_kernels.cuda.target import SIMULATED

    if not SIMULATED:
        pytest.skip("the kernel is compiled")
    swizzle = swizzle_of(chunks)
    for first in (0, 8, 24):
        for chunk in range(chunks):
            places = [(row * chunks + (chunk ^ swizzle(row))) for row in range(first, first + 8)]
            assert len({4 * place % BANKS for place in places}) == 8
            assert all(place // chunks == row for place, row in zip(places, range(first, first + 8), strict=True))


def test_tiles_of_bfloat16_fit_a_block() -> None:
    from fastnn_kernels.cuda.block import THREADS
    from fastnn_kernels.cuda.matmul.blocking import BFLOAT16_LARGE, BFLOAT16_MEDIUM, BFLOAT16_SHARED_ELEMENTS

    for tile in (BFLOAT16_LARGE, BFLOAT16_MEDIUM):
        assert tile.groups == 1 == THREADS // tile.members
        assert tile.shared_elements <= BFLOAT16_SHARED_ELEMENTS <= 48 * 1024 // 4
