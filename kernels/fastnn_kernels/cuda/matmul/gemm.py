"""The loops around the tiles, and the sum over rows. Definitions: ``reference/matmul.py``.

Blocks take tiles in turns; an element's terms are always added in the same order, so the result is the same bits for any number
of blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn_kernels.cuda.block import THREADS, sync, thread
from fastnn_kernels.cuda.matmul.bfloat16 import half_products_of
from fastnn_kernels.cuda.matmul.blocking import (
    ENOUGH_HALF_TILES,
    ENOUGH_TILES,
    HALF_LARGE,
    HALF_MEDIUM,
    HALF_SHARED_ELEMENTS,
    LARGE,
    SHARED_ELEMENTS,
    SMALL,
    STRIP,
    TensorTile,
    Tile,
)
from fastnn_kernels.cuda.matmul.micro_kernel import multiply_of, places_of, put_sums_of, store_of, unchanged
from fastnn_kernels.cuda.matmul.packing import packing_of
from fastnn_kernels.cuda.matmul.slabs import CHUNK
from fastnn_kernels.cuda.matmul.tensor_cores import exact_unless_finite, put_tensor_sums_of, tensor_multiply_of
from fastnn_kernels.cuda.quads import flat, is_aligned
from fastnn_kernels.cuda.target import kernel, ptx

SUM_COLUMNS = min(32, THREADS // 4)
"""Columns that a block sums at a time: a warp reads neighbours, other warps other rows."""

SUM_GROUPS = THREADS // SUM_COLUMNS


def product_of(tile: Tile, multiply: Any, put_sums: Any, repaired: Any) -> Any:
    """``product(a, ..., workers)`` by tiles of one kind; ``multiply`` adds a slab's products to a thread's sums."""
    (fetch_a, put_a), (fetch_b, put_b) = packing_of(tile, tile.rows), packing_of(tile, tile.columns)
    rows, columns, depth, places, store = tile.rows, tile.columns, tile.depth, places_of(tile), store_of(tile, repaired)
    b_first = depth * (rows + tile.padding)

    @kernel
    def product(a, b, bias, shared, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers):
        """While a slab's products are computed, the quads of the next one are on their way."""
        m, n = out.shape
        terms = a.shape[0] if transpose_a else a.shape[1]
        x, y = flat(a), flat(b)
        group, row, column, lane = places()
        tiles_across = (n + columns - 1) // columns
        tiles = (m + rows - 1) // rows * tiles_across
        for number in range(worker, tiles, workers):
            first_i, first_j = number // tiles_across * rows, number % tiles_across * columns
            sums = ptx.zeros(out.dtype.type, STRIP)
            for term in range(-depth, terms, depth):
                a_quads = fetch_a(x, a.shape[0], a.shape[1], not transpose_a, first_i, term + depth)
                b_quads = fetch_b(y, b.shape[0], b.shape[1], transpose_b, first_j, term + depth)
                if term >= 0:
                    sums = multiply(sums, shared, group, row, column, lane)
                sync()
                put_a(shared, 0, not transpose_a, a_quads)
                put_b(shared, b_first, transpose_b, b_quads)
                sync()
            put_sums(sums, shared, (group * rows + row) * columns + column, lane)
            sync()
            store(shared, a, b, out, transpose_a, transpose_b, first_i, first_j, bias, activation, slope, accumulate)
            sync()

    return product


large_product, small_product = (product_of(tile, multiply_of(tile), put_sums_of(tile), unchanged) for tile in (LARGE, SMALL))
half_product, large_half_product = half_products_of(HALF_MEDIUM), half_products_of(HALF_LARGE)
tensor_product = product_of(LARGE, tensor_multiply_of(LARGE), put_tensor_sums_of(LARGE), exact_unless_finite)

TENSOR_CORES = 80
"""The first architecture whose tensor cores take float32 and bfloat16 numbers, and which copies past the registers."""


def fits(tile: Tile | TensorTile, enough: int) -> Any:
    """``fit(out)`` for a tile: whether there are enough of them, and none is half empty."""
    rows, columns = tile.rows, tile.columns

    @kernel
    def fit(out):
        m, n = out.shape
        tiles = ((m + rows - 1) // rows) * ((n + columns - 1) // columns)
        return tiles >= enough and 2 * m > rows and 2 * n > columns

    return fit


is_large, has_half_tiles, has_large_half_tiles = (
    fits(LARGE, ENOUGH_TILES),
    fits(HALF_MEDIUM, ENOUGH_TILES),
    fits(HALF_LARGE, ENOUGH_HALF_TILES),
)


@kernel
def matmul(a, b, bias, scratch, out, transpose_a, transpose_b, activation, negative_slope, accumulate, worker, workers):
    """By small tiles, whatever the shape: all that float64 and small programs need."""
    shared, slope = ptx.shared_array(out.dtype.type, SHARED_ELEMENTS), out.dtype.type(negative_slope)
    small_product(a, b, bias, shared, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)


@kernel
def matmul_float32(a, b, bias, scratch, out, transpose_a, transpose_b, activation, negative_slope, accumulate, worker, workers):
    """`matmul` of float32: large tiles on tensor cores, where there are any."""
    shared, slope = ptx.shared_array(np.float32, SHARED_ELEMENTS), np.float32(negative_slope)
    if not is_large(out):
        small_product(a, b, bias, shared, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)
    elif ptx.architecture() >= TENSOR_CORES:
        tensor_product(a, b, bias, shared, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)
    else:
        large_product(a, b, bias, shared, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)


@kernel
def has_whole_chunks(x):
    """Whether every row of a matrix of bfloat16 can be copied 16 bytes at a time."""
    return x.shape[1] % CHUNK == 0 and is_aligned(x, ptx.unsigned(0), 16)


@kernel
def matmul_bfloat16(a, b, bias, scratch, out, transpose_a, transpose_b, activation, negative_slope, accumulate, worker, workers):
    """`matmul` of bfloat16: on tensor cores, where there are any that can read the operands, and enough tiles."""
    shared, slope = ptx.shared_array(np.float32, HALF_SHARED_ELEMENTS), np.float32(negative_slope)
    on_tensor_cores = ptx.architecture() >= TENSOR_CORES and has_whole_chunks(a) and has_whole_chunks(b)
    if on_tensor_cores and has_large_half_tiles(out):
        large_half_product(a, b, bias, shared, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)
    elif on_tensor_cores and has_half_tiles(out):
        half_product(a, b, bias, shared, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)
    elif is_large(out):
        large_product(a, b, bias, shared, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)
    else:
        small_product(a, b, bias, shared, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)


@kernel
def sum_rows(x, out, accumulate, worker, workers):
    """Each group of threads sums some of the rows, in order; the groups' sums are added in order."""
    rows, columns = x.shape
    zero = out.dtype.type(0)
    sums = ptx.shared_array(out.dtype.type, THREADS)
    group, lane = thread() // SUM_COLUMNS, thread() % SUM_COLUMNS
    x = flat(x)
    for first in range(worker * SUM_COLUMNS, columns, workers * SUM_COLUMNS):
        n = first + lane
        total = zero
        if n < columns:
            for i in range(ptx.unsigned(group * columns + n), ptx.unsigned(rows * columns), ptx.unsigned(SUM_GROUPS * columns)):
                total += x[i]
        sync()
        sums[thread()] = total
        sync()
        if group == 0 and n < columns:
            for other in range(1, SUM_GROUPS):
                total += sums[other * SUM_COLUMNS + lane]
            out[n] = out[n] + total if accumulate else total
