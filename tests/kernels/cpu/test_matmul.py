"""Inside matmul: tiles, packing and the micro-kernels against their plain twins. Whole products: ``test_instructions``."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from typing import Any

import numpy as np
import pytest
from fastnn_kernels.cpu.matmul import gemm, packing
from fastnn_kernels.cpu.matmul.blocking import AVX2, AVX512, KC, MC, NC, NEON, PLAIN, SCRATCH_ELEMENTS, SSE2, Tile, tile_of
from fastnn_kernels.cpu.matmul.micro_kernel import ADD, BIAS, RELU, packing_tile_of, plain_packing_tile, plain_tile, vector_tile_of
from fastnn_kernels.cpu.matmul.vectors import TILE, tile_columns
from fastnn_kernels.cpu.options import kernel
from numpy.typing import NDArray

DTYPES = ("float32", "float64")
TILES = {"avx512": AVX512, "avx2": AVX2, "neon": NEON, "sse2": SSE2}


@pytest.mark.parametrize(
    ("triple", "features", "tile"),
    [
        ("x86_64-unknown-linux-gnu", "+avx,+avx2,+fma,+avx512f", AVX512),
        ("x86_64-pc-windows-msvc", "+avx,+avx2,+fma,-avx512f", AVX2),
        ("x86_64-unknown-linux-gnu", "+avx2", SSE2),
        ("x86_64-unknown-linux-gnu", "", SSE2),
        ("arm64-apple-darwin", "", NEON),
        ("aarch64-unknown-linux-gnu", "+neon", NEON),
        ("riscv64-unknown-linux-gnu", "+v", PLAIN),
    ],
)
def test_tile_follows_what_is_compiled_for(triple: str, features: str, tile: Tile) -> None:
    assert tile_of(triple, features) is tile


@pytest.mark.parametrize("tile", [AVX512, AVX2, NEON, SSE2, PLAIN])
def test_blocks_are_whole_tiles(tile: Tile) -> None:
    assert MC % tile.rows == 0
    assert NC % tile.columns(4) == 0
    assert NC % tile.columns(8) == 0
    assert SCRATCH_ELEMENTS == KC * MC + KC * NC


@pytest.mark.parametrize("dtype", DTYPES)
def test_tile_columns(dtype: str) -> None:
    @kernel
    def compiled(array):
        return tile_columns(array)

    array = np.zeros(1, dtype)
    assert compiled(array) == tile_columns(array) == TILE.columns(array.itemsize)


def test_blocking_needs_no_compiler() -> None:
    """Engines read SCRATCH_ELEMENTS in processes that never import Numba."""
    code = "import sys, fastnn_kernels.cpu.matmul.blocking; sys.exit('numba' in sys.modules or 'llvmlite' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})


@cache
def tile_kernel(name: str, vectors: int) -> Any:
    tile = vector_tile_of(TILES[name], vectors)

    @kernel
    def call(depth, a, a_at, b, b_at, out, out_at, size, bias, flags, slope):
        tile(depth, a, a_at, b, b_at, out, out_at, size, bias, 3, flags, slope)

    return call


def values(size: int, dtype: str, seed: int) -> NDArray:
    x = np.random.default_rng(seed).normal(size=size).astype(dtype)
    x[::41] = 0.0
    return x


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "vectors"), [("avx512", 2), ("avx512", 1), ("avx2", 2), ("neon", 2), ("sse2", 1)])
def test_vector_tile_equals_plain_tile(name: str, vectors: int, dtype: str) -> None:
    """At every edge, for every flag, at any stride, without touching anything outside."""
    tile = TILES[name]
    width = vectors * tile.vector_bytes // np.dtype(dtype).itemsize
    a, b, bias = values(4000, dtype, 1), values(4000, dtype, 2), values(100, dtype, 3)
    before = values(tile.rows * 80, dtype, 4)
    sizes = [(rows, columns) for rows in {1, 2, tile.rows - 1, tile.rows} for columns in {1, 2, width // 2, width - 1, width}]
    for number, (rows, columns) in enumerate(sizes):
        depth, flags, slope = (1, 2, 17)[number % 3], number % 8, np.dtype(dtype).type((0.0, 0.25)[number % 2])
        a_at = ((5, 60, 1), (7, 1, 60), (0, 0, 1))[number % 3]
        arguments = (depth, a, a_at, b, (2, 70))
        out, wanted = before.copy(), before.copy()
        tile_kernel(name, vectors)(*arguments, out, (4, 77), (rows, columns), bias, flags, slope)
        plain_tile(*arguments, wanted, (4, 77), (rows, columns), bias, 3, flags, slope)
        np.testing.assert_allclose(out, wanted, rtol=0, atol=8 * np.finfo(dtype).eps)


@cache
def whole_tile_kernel(name: str) -> Any:
    tile = TILES[name]
    whole = vector_tile_of(tile, tile.vectors, whole_rows=True, whole_columns=True)

    @kernel
    def call(depth, a, a_at, b, b_at, out, out_at, size, bias, flags, slope):
        whole(depth, a, a_at, b, b_at, out, out_at, size, bias, 3, flags, slope)

    return call


@cache
def packing_tile_kernel(name: str) -> Any:
    packing = packing_tile_of(TILES[name])

    @kernel
    def call(depth, a, a_at, b, b_at, out, out_at, size, bias, flags, slope, packed, packed_start):
        packing(depth, a, a_at, b, b_at, out, out_at, size, bias, 3, flags, slope, packed, packed_start)

    return call


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TILES)
def test_whole_and_packing_tile_equal_plain_tile(name: str, dtype: str) -> None:
    """For every flag, without touching anything outside; b is left in panels."""
    tile = TILES[name]
    size = (tile.rows, tile.columns(np.dtype(dtype).itemsize))
    a, b, bias = values(4000, dtype, 1), values(4000, dtype, 2), values(100, dtype, 3)
    before, untouched = values(tile.rows * 80, dtype, 4), values(3000, dtype, 5)
    for flags in range(8):
        depth, slope = (1, 2, 17, 30)[flags % 4], np.dtype(dtype).type((0.0, 0.25)[flags % 2])
        arguments = (depth, a, ((5, 60, 1), (7, 1, 60))[flags % 2], b, (2, 70))
        whole, packing, wanted = before.copy(), before.copy(), before.copy()
        packed, packed_wanted = untouched.copy(), untouched.copy()
        whole_tile_kernel(name)(*arguments, whole, (4, 77), size, bias, flags, slope)
        packing_tile_kernel(name)(*arguments, packing, (4, 77), size, bias, flags, slope, packed, 9)
        plain_packing_tile(*arguments, wanted, (4, 77), size, bias, 3, flags, slope, packed_wanted, 9)
        np.testing.assert_allclose(whole, wanted, rtol=0, atol=30 * np.finfo(dtype).eps)
        np.testing.assert_array_equal(packing, whole)
        np.testing.assert_array_equal(packed, packed_wanted)


def test_plain_tile_is_the_contract() -> None:
    """[[1, 2], [3, 4]] @ [[5, 6], [7, 8]] = [[19, 22], [43, 50]]."""
    a, b, bias = np.array([1.0, 2, 3, 4]), np.array([5.0, 6, 7, 8]), np.array([-20.0, 1.0])
    for flags, wanted in (
        (0, [19, 22, 43, 50]),
        (ADD, [20, 23, 44, 51]),
        (BIAS, [-1, 23, 23, 51]),
        (BIAS | RELU, [-0.5, 23, 23, 51]),
    ):
        out = np.ones(4)
        plain_tile(2, a, (0, 2, 1), b, (0, 2), out, (0, 2), (2, 2), bias, 0, flags, 0.5)
        assert out.tolist() == wanted


@pytest.mark.parametrize("transposes", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_copy_matrix_equals_its_twin(dtype: str, transposes: bool) -> None:
    source = np.arange(3000, dtype=dtype)
    for rows in (1, 7, 8, 9, 25):
        for columns in (1, 5, 8, 16, 19):
            out, wanted = np.full(3000, -1, dtype), np.full(3000, -1, dtype)
            packing.copy_matrix(source, (3, 50), out, (11, 40), rows, columns, transposes)
            packing.copy_matrix_plainly(source, (3, 50), wanted, (11, 40), rows, columns, transposes)
            np.testing.assert_array_equal(out, wanted)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("apart", [0, packing.FAR])
@pytest.mark.parametrize("width", [4, 6, 8, 16])
@pytest.mark.parametrize("terms", [1, 9, 40])
@pytest.mark.parametrize("items", [3, 12, 23, 32])
@pytest.mark.parametrize("transposes", [False, True])
def test_packed_panels(transposes: bool, items: int, terms: int, width: int, apart: int, dtype: str) -> None:
    """As the formula says, and nothing is written around the panels; between the source's rows are ``apart`` other elements."""
    start, before = 4, 6
    term, item = (1, terms + apart) if transposes else (items + apart, 1)
    source = np.arange(start + 1 + (terms - 1) * term + (items - 1) * item, dtype=dtype)
    size = -(-items // width) * width * terms
    packed = np.full(before + size + 16, -1, dtype)
    packing.pack(source, start, term, item, terms, items, width, packed, before)
    for p in range(terms):
        for j in range(items):
            assert packed[before + (j // width) * width * terms + p * width + j % width] == source[start + p * term + j * item]
    assert (packed[:before] == -1).all()
    assert (packed[before + size :] == -1).all()


def factors(m: int, k: int, n: int, transpose_a: int, transpose_b: int, *, whole: bool) -> tuple[NDArray, NDArray]:
    """a and b as they are stored: whole numbers, whose products are exact in any order, or not."""
    rng = np.random.default_rng(m + k + n)
    a, b = rng.normal(size=(k, m) if transpose_a else (m, k)), rng.normal(size=(n, k) if transpose_b else (k, n))
    return (np.rint(4 * a), np.rint(4 * b)) if whole else (a, b)


def product(a: NDArray, b: NDArray, dtype: str, workers: int, transpose_a: int, transpose_b: int) -> NDArray:
    """matmul's result; scratch and out are full of NaN."""
    shape = (a.shape[1 if transpose_a else 0], b.shape[0 if transpose_b else 1])
    scratch, out = np.full(SCRATCH_ELEMENTS * workers, np.nan, dtype), np.full(shape, np.nan, dtype)
    a, b, bias = a.astype(dtype), b.astype(dtype), np.zeros(0, dtype)
    for worker in range(workers):
        gemm.matmul(a, b, bias, scratch, out, transpose_a, transpose_b, 0, 0.0, 0, 0, worker, workers)
    return out


PACKED = [
    ("neither is packed", 64, 300, 64, 0, 0),
    ("a is packed, several blocks of rows", 250, 530, 200, 0, 0),
    ("b is packed, several blocks of columns", 70, 80, NC + 70, 0, 0),
    ("both, several blocks of terms", 130, 1100, 270, 0, 0),
    ("both, transposed", 130, 1100, 270, 1, 1),
    ("both, several blocks of columns", 130, 520, NC + 70, 0, 1),
    ("one row of a", 1, 700, 300, 0, 1),
    ("whole tiles, nothing packed", 16, 100, NC + 70, 0, 0),
    ("whole tiles, a few rows left", 67, 130, 601, 0, 0),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("path", "m", "k", "n", "transpose_a", "transpose_b"), PACKED, ids=[path for path, *_ in PACKED])
def test_large_products(path: str, m: int, k: int, n: int, transpose_a: int, transpose_b: int, dtype: str) -> None:
    """The right product, and the same bits for any number of workers."""
    a, b = factors(m, k, n, transpose_a, transpose_b, whole=True)
    out = product(a, b, dtype, 1, transpose_a, transpose_b)
    np.testing.assert_array_equal(out, (a.T if transpose_a else a) @ (b.T if transpose_b else b))
    a, b = factors(m, k, n, transpose_a, transpose_b, whole=False)
    results = [product(a, b, dtype, workers, transpose_a, transpose_b).tobytes() for workers in (1, 2, 3, 7)]
    assert results[1:] == results[:1] * 3


def test_bits_do_not_depend_on_the_place_in_a_tile() -> None:
    """A row of a product is the same alone and among others; so is a column."""
    a, b = factors(37, 41, 45, 0, 0, whole=False)
    whole = product(a, b, "float32", 1, 0, 0)
    for row in (0, 7, 8, 36):
        np.testing.assert_array_equal(product(a[row : row + 1], b, "float32", 1, 0, 0)[0], whole[row])
    for column in (0, 15, 16, 31, 32, 44):
        np.testing.assert_array_equal(product(a, b[:, column : column + 1], "float32", 1, 0, 0)[:, 0], whole[:, column])
