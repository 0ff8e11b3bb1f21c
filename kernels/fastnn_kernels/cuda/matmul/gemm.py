"""The loops around the tiles, and the sum over rows. Definitions: ``reference/matmul.py``.

Blocks take tiles in turns; an element's terms are always added in the same order, so the result is the same bits for any number
of blocks.
"""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, sync, thread
from fastnn_kernels.cuda.matmul.blocking import ENOUGH_TILES, LARGE, MEDIUM, SHARED_ELEMENTS, SMALL, Tile
from fastnn_kernels.cuda.matmul.micro_kernel import multiply_of, places_of, store_of
from fastnn_kernels.cuda.matmul.packing import packing_of
from fastnn_kernels.cuda.quads import flat
from fastnn_kernels.cuda.target import kernel, ptx

SUM_COLUMNS = min(32, THREADS // 4)
"""Columns that a block sums at a time: a warp reads neighbours, other warps other rows."""

LARGE_SIDES, MEDIUM_SIDES = (LARGE.rows, LARGE.columns), (MEDIUM.rows, MEDIUM.columns)

SUM_GROUPS = THREADS // SUM_COLUMNS


def product_of(tile: Tile) -> Any:
    """``product(a, ..., workers)`` by tiles of one kind."""
    (fetch_a, put_a), (fetch_b, put_b) = packing_of(tile, tile.rows), packing_of(tile, tile.columns)
    places, multiply, store = places_of(tile), multiply_of(tile), store_of(tile)
    rows, columns, depth, sums = tile.rows, tile.columns, tile.depth, 16 * tile.strips
    b_first = depth * (rows + tile.padding)

    @kernel
    def product(a, b, bias, slabs, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers):
        """While a slab's products are computed, the quads of the next one are on their way."""
        m, n = out.shape
        terms = a.shape[0] if transpose_a else a.shape[1]
        x, y = flat(a), flat(b)
        group, row, column, lane = places()
        tiles_across = (n + columns - 1) // columns
        tiles = (m + rows - 1) // rows * tiles_across
        for number in range(worker, tiles, workers):
            first_i, first_j = number // tiles_across * rows, number % tiles_across * columns
            total = ptx.zeros(out.dtype.type, sums)
            for term in range(-depth, terms, depth):
                a_quads = fetch_a(x, a.shape[0], a.shape[1], not transpose_a, first_i, term + depth)
                b_quads = fetch_b(y, b.shape[0], b.shape[1], transpose_b, first_j, term + depth)
                if term >= 0:
                    total = multiply(total, slabs, group, row, column, lane)
                sync()
                put_a(slabs, 0, not transpose_a, a_quads)
                put_b(slabs, b_first, transpose_b, b_quads)
                sync()
            store(total, slabs, group, row, column, lane, out, first_i, first_j, bias, activation, slope, accumulate)
            sync()

    return product


large_product, medium_product, small_product = (product_of(tile) for tile in (LARGE, MEDIUM, SMALL))


@kernel
def fits(sides, m, n):
    """Whether there are enough tiles of these sides, and none is half empty."""
    rows, columns = sides
    tiles = ((m + rows - 1) // rows) * ((n + columns - 1) // columns)
    return tiles >= ENOUGH_TILES and 2 * m > rows and 2 * n > columns


@kernel
def matmul(a, b, bias, scratch, out, transpose_a, transpose_b, activation, negative_slope, accumulate, worker, workers):
    """The largest tile of which there are enough; float64 always by the small ones, whose sums fit the registers."""
    dtype = out.dtype.type
    slabs, slope = ptx.shared_array(dtype, SHARED_ELEMENTS), dtype(negative_slope)
    if out.itemsize == 4 and fits(LARGE_SIDES, out.shape[0], out.shape[1]):
        large_product(a, b, bias, slabs, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)
    elif out.itemsize == 4 and fits(MEDIUM_SIDES, out.shape[0], out.shape[1]):
        medium_product(a, b, bias, slabs, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)
    else:
        small_product(a, b, bias, slabs, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers)


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
