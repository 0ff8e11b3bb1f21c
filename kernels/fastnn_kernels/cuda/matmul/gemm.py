"""Products by tiles, and the sum over rows. Definitions: ``reference/matmul.py``.

Blocks take tiles, and parts of tiles, in turns; an element's terms are always added in the same order, so the result is the same
bits for any number of blocks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn_kernels.cuda.block import THREADS, sync, thread
from fastnn_kernels.cuda.matmul import blocking
from fastnn_kernels.cuda.matmul.bfloat16 import bfloat16_product_of, bfloat16_sum_of
from fastnn_kernels.cuda.matmul.blocking import (
    BFLOAT16_LARGE,
    BFLOAT16_MEDIUM,
    BFLOAT16_SHARED_ELEMENTS,
    LARGE,
    NO_TENSOR_TILE,
    SHARED_ELEMENTS,
    SMALL,
    STRIP,
    SUM_COLUMNS,
    TENSOR_LARGE,
    TENSOR_MEDIUM,
    TENSOR_SHARED_ELEMENTS,
    TENSOR_TILES,
    Tile,
)
from fastnn_kernels.cuda.matmul.copies import is_vector_aligned
from fastnn_kernels.cuda.matmul.micro_kernel import multiply_of, places_of, put_sums_of, unchanged
from fastnn_kernels.cuda.matmul.packing import packing_of
from fastnn_kernels.cuda.matmul.split import product_of
from fastnn_kernels.cuda.matmul.tensor_cores import exact_unless_finite, tensor_sum_of
from fastnn_kernels.cuda.quads import flat
from fastnn_kernels.cuda.target import kernel, ptx

SUM_GROUPS = THREADS // SUM_COLUMNS


def sum_of(tile: Tile) -> Any:
    """``sum_terms(a, ...)`` for `product_of`: through registers to shared memory, and a thread's sums in registers."""
    (fetch_a, put_a), (fetch_b, put_b) = packing_of(tile, tile.rows), packing_of(tile, tile.columns)
    rows, columns, depth, places = tile.rows, tile.columns, tile.depth, places_of(tile)
    multiply, put_sums = multiply_of(tile), put_sums_of(tile)
    b_first = depth * (rows + tile.padding)

    @kernel
    def sum_terms(a, b, shared, transpose_a, transpose_b, precision, first_i, first_j, first, stop):
        """While a slab's products are computed, the quads of the next one are on their way."""
        x, y, terms = flat(a), flat(b), a.shape[0] if transpose_a else a.shape[1]
        group, row, column, lane = places()
        sums = ptx.zeros(shared.dtype.type, STRIP)
        for term in range(first - depth, stop, depth):
            ahead = term + depth if term + depth < stop else terms  # nothing is read there
            a_quads = fetch_a(x, a.shape[0], a.shape[1], not transpose_a, first_i, ahead)
            b_quads = fetch_b(y, b.shape[0], b.shape[1], transpose_b, first_j, ahead)
            if term >= first:
                sums = multiply(sums, shared, group, row, column, lane)
            sync()
            put_a(shared, 0, not transpose_a, a_quads)
            put_b(shared, b_first, transpose_b, b_quads)
            sync()
        put_sums(sums, shared, (group * rows + row) * columns + column, lane)

    return sum_terms


large_product, small_product = (product_of(tile, sum_of(tile), unchanged) for tile in (LARGE, SMALL))
tensor_large_product, tensor_medium_product, tensor_wide_product = (
    product_of(tile, tensor_sum_of(tile), exact_unless_finite) for tile in TENSOR_TILES
)
bfloat16_product = product_of(BFLOAT16_MEDIUM, bfloat16_sum_of(BFLOAT16_MEDIUM), unchanged)
large_bfloat16_product = bfloat16_product_of(BFLOAT16_LARGE)
tensor_tile, bfloat16_tile = kernel(blocking.tensor_tile), kernel(blocking.bfloat16_tile)

TENSOR_CORES = 80
"""The first architecture whose tensor cores take float32 and bfloat16 numbers, and which copies past the registers."""


@kernel
def matmul(a, b, bias, scratch, out, transpose_a, transpose_b, activation, negative_slope, accumulate, precision, worker, workers):
    """By small tiles, whatever the shape: all that float64 and small programs need."""
    shared, slope = ptx.shared_array(out.dtype.type, SHARED_ELEMENTS), out.dtype.type(negative_slope)
    small_product(
        a, b, bias, scratch, shared, out, transpose_a, transpose_b, activation, slope, accumulate, precision, worker, workers
    )


@kernel
def matmul_float32(a, b, bias, scratch, out, transpose_a, transpose_b, activation, slope, accumulate, precision, worker, workers):
    """`matmul` of float32: tensor tiles, where they pay and there are tensor cores."""
    ta, tb, slope = transpose_a, transpose_b, np.float32(slope)
    chosen = tensor_tile(out.shape[0], out.shape[1], a.shape[0] if ta else a.shape[1])
    if ptx.architecture() < TENSOR_CORES:
        shared = ptx.shared_array(np.float32, SHARED_ELEMENTS)
        if chosen in (TENSOR_LARGE, TENSOR_MEDIUM):
            large_product(a, b, bias, scratch, shared, out, ta, tb, activation, slope, accumulate, precision, worker, workers)
        else:
            small_product(a, b, bias, scratch, shared, out, ta, tb, activation, slope, accumulate, precision, worker, workers)
        return
    shared = ptx.shared_array(np.float32, TENSOR_SHARED_ELEMENTS)
    if chosen == NO_TENSOR_TILE:
        small_product(a, b, bias, scratch, shared, out, ta, tb, activation, slope, accumulate, precision, worker, workers)
    elif chosen == TENSOR_LARGE:
        tensor_large_product(a, b, bias, scratch, shared, out, ta, tb, activation, slope, accumulate, precision, worker, workers)
    elif chosen == TENSOR_MEDIUM:
        tensor_medium_product(a, b, bias, scratch, shared, out, ta, tb, activation, slope, accumulate, precision, worker, workers)
    else:
        tensor_wide_product(a, b, bias, scratch, shared, out, ta, tb, activation, slope, accumulate, precision, worker, workers)


@kernel
def matmul_bfloat16(a, b, bias, scratch, out, transpose_a, transpose_b, activation, slope, accumulate, precision, worker, workers):
    """`matmul` of bfloat16: on tensor cores, where there are any that can read the operands, and enough tiles."""
    ta, tb, slope = transpose_a, transpose_b, np.float32(slope)
    m, n, terms = out.shape[0], out.shape[1], a.shape[0] if ta else a.shape[1]
    shared = ptx.shared_array(np.float32, BFLOAT16_SHARED_ELEMENTS)
    on_tensor_cores = ptx.architecture() >= TENSOR_CORES and is_vector_aligned(a, a.shape[1]) and is_vector_aligned(b, b.shape[1])
    chosen = bfloat16_tile(m, n, terms) if on_tensor_cores else NO_TENSOR_TILE
    if chosen == TENSOR_LARGE:
        large_bfloat16_product(a, b, bias, shared, out, ta, tb, activation, slope, accumulate, worker, workers)
    elif chosen == TENSOR_MEDIUM:
        bfloat16_product(a, b, bias, scratch, shared, out, ta, tb, activation, slope, accumulate, precision, worker, workers)
    elif tensor_tile(m, n, terms) in (TENSOR_LARGE, TENSOR_MEDIUM):
        large_product(a, b, bias, scratch, shared, out, ta, tb, activation, slope, accumulate, precision, worker, workers)
    else:
        small_product(a, b, bias, scratch, shared, out, ta, tb, activation, slope, accumulate, precision, worker, workers)


@kernel
def sum_rows(x, out, accumulate, worker, workers):
    """Each group of threads sums some of the rows, in order, four on their way at a time; the groups' sums are added in order."""
    rows, columns = x.shape
    zero = out.dtype.type(0)
    sums = ptx.shared_array(out.dtype.type, THREADS)
    group, lane = thread() // SUM_COLUMNS, thread() % SUM_COLUMNS
    x, end, step = flat(x), ptx.unsigned(rows * columns), SUM_GROUPS * columns
    for first in range(worker * SUM_COLUMNS, columns, workers * SUM_COLUMNS):
        n = first + lane
        total = zero
        if n < columns:
            for i in range(ptx.unsigned(group * columns + n), end, ptx.unsigned(4 * step)):
                second, third, fourth = i + ptx.unsigned(step), i + ptx.unsigned(2 * step), i + ptx.unsigned(3 * step)
                total += x[i]
                total += x[second] if second < end else zero
                total += x[third] if third < end else zero
                total += x[fourth] if fourth < end else zero
        sync()
        sums[thread()] = total
        sync()
        if group == 0 and n < columns:
            for other in range(1, SUM_GROUPS):
                total += sums[other * SUM_COLUMNS + lane]
            out[n] = out[n] + total if accumulate else total
