"""The loops around the tiles, and the sum over rows. Definitions: ``reference/matmul.py``.

Blocks take tiles in turns; an element's terms are always added in the same order, so the result is the same bits for any number
of blocks.
"""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, sync, thread
from fastnn_kernels.cuda.matmul.blocking import ENOUGH_TILES, LARGE, MEDIUM, SHARED_ELEMENTS, SMALL, Tile
from fastnn_kernels.cuda.matmul.micro_kernel import multiply_of, store_of, thread_places_of
from fastnn_kernels.cuda.matmul.packing import packing_of
from fastnn_kernels.cuda.quads import flat
from fastnn_kernels.cuda.target import kernel, ptx

SUM_COLUMNS = min(32, THREADS // 4)
"""Columns that a block sums at a time: a warp reads neighbours, other warps other rows."""

LARGE_SIDE, MEDIUM_SIDE = LARGE.side, MEDIUM.side

SUM_GROUPS = THREADS // SUM_COLUMNS


def product_of(tile: Tile) -> Any:
    """``product(a, ..., workers)`` by tiles of one kind."""
    fetch, put = packing_of(tile)
    thread_places, multiply, store = thread_places_of(tile), multiply_of(tile), store_of(tile)
    side, depth, b_first, sums = tile.side, tile.depth, tile.depth * tile.stride, tile.rows * tile.columns

    @kernel
    def product(a, b, bias, slabs, out, m, n, terms, transpose_a, transpose_b, activation, slope, accumulate, worker, workers):
        """While a slab's products are computed, the quads of the next one are on their way."""
        dtype = out.dtype.type
        group, row, column = thread_places()
        tiles_across = (n + side - 1) // side
        tiles = (m + side - 1) // side * tiles_across
        for number in range(worker, tiles, workers):
            first_i, first_j = number // tiles_across * side, number % tiles_across * side
            total = ptx.zeros(dtype, sums)
            for term in range(-depth, terms, depth):
                a_quads = fetch(a, not transpose_a, m, terms, first_i, term + depth)
                b_quads = fetch(b, transpose_b, n, terms, first_j, term + depth)
                if term >= 0:
                    total = multiply(total, slabs, b_first, group, row, column)
                sync()
                put(slabs, 0, not transpose_a, a_quads)
                put(slabs, b_first, transpose_b, b_quads)
                sync()
            store(total, slabs, group, row, column, out, m, n, first_i, first_j, bias, activation, slope, accumulate)
            sync()

    return product


large_product, medium_product, small_product = (product_of(tile) for tile in (LARGE, MEDIUM, SMALL))


@kernel
def fits(side, m, n):
    """Whether there are enough tiles of this side, and none is half empty."""
    tiles = ((m + side - 1) // side) * ((n + side - 1) // side)
    return tiles >= ENOUGH_TILES and 2 * min(m, n) > side


@kernel
def matmul(a, b, bias, scratch, out, transpose_a, transpose_b, activation, negative_slope, accumulate, worker, workers):
    """The largest tile of which there are enough; large ones of float64 would not fit the registers."""
    dtype = out.dtype.type
    m, n = out.shape
    terms = a.shape[0] if transpose_a else a.shape[1]
    slabs = ptx.shared_array(dtype, SHARED_ELEMENTS)
    slope = dtype(negative_slope)
    x, y, z = flat(a), flat(b), flat(out)
    if out.itemsize == 4 and fits(LARGE_SIDE, m, n):
        large_product(
            x, y, bias, slabs, z, m, n, terms, transpose_a, transpose_b, activation, slope, accumulate, worker, workers
        )  # fmt: skip
    elif fits(MEDIUM_SIDE, m, n):
        medium_product(
            x, y, bias, slabs, z, m, n, terms, transpose_a, transpose_b, activation, slope, accumulate, worker, workers
        )  # fmt: skip
    else:
        small_product(
            x, y, bias, slabs, z, m, n, terms, transpose_a, transpose_b, activation, slope, accumulate, worker, workers
        )  # fmt: skip


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
