"""The loops around the micro-kernel, and the sum over rows. Definitions: ``reference/matmul.py``.

The five loops of BLIS. Which blocks are packed depends on the whole shape alone. Which tile computes an element depends on the
worker's part as well, but all add an element's terms in the same order, in the same blocks of KC, so the result is the same bits
for any number of workers: every new path must.
"""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cpu.floats import select
from fastnn_kernels.cpu.matmul.blocking import KC, MC, NC
from fastnn_kernels.cpu.matmul.gemv import FEW_ROWS, few_rows
from fastnn_kernels.cpu.matmul.micro_kernel import ADD, BIAS, RELU, narrow_tile, packing_tile, whole_tile, wide_tile
from fastnn_kernels.cpu.matmul.packing import must_be_packed, pack, readable
from fastnn_kernels.cpu.matmul.vectors import TILE, flat, tile_columns
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.partition import indices, span
from fastnn_kernels.cpu.vector_math import sigmoid, tanh
from fastnn_kernels.instructions import ACTIVATION_RELU, ACTIVATION_SIGMOID, ACTIVATION_TANH

MR, VECTORS, MASKS = TILE.rows, TILE.vectors, TILE.masks

NEAR_ELEMENTS, FAR_ELEMENTS = 8192, 65536
"""Beyond the first number a matrix is not in the nearest cache; beyond the second its rows lie on too many pages as well."""

WHOLE_ELEMENTS = 1024
"""Of smaller products too few tiles are whole to loop over them by themselves."""

NEAR_TILES, FAR_TILES = 16, 4
"""Tiles that read such a matrix again before packing it pays: packing costs as much as about one of them."""

SUM_COLUMNS = 64
"""Columns in a block of `sum_rows`."""


@kernel
def matmul(a, b, bias, scratch, out, transpose_a, transpose_b, activation, negative_slope, accumulate, precision, worker, workers):
    """The larger side of out is split among the workers, by whole tiles. Of bfloat16 too: the sums are of out's type."""
    m, n = out.shape
    if m >= n:
        (row_start, row_stop), (column_start, column_stop) = span(m, MR, worker, workers), (0, n)
    else:
        (row_start, row_stop), (column_start, column_stop) = (0, m), span(n, tile_columns(out), worker, workers)
    flags = (ADD if accumulate else 0) | (BIAS if bias.size else 0) | (RELU if activation == ACTIVATION_RELU else 0)
    terms = a.shape[0] if transpose_a else a.shape[1]
    a_steps = (1, a.shape[1]) if transpose_a else (a.shape[1], 1)
    b_steps = (1, b.shape[1]) if transpose_b else (b.shape[1], 1)
    slope, one_column = out.dtype.type(negative_slope), n == 1 and m > FEW_ROWS
    rows_left, done, sums_at = row_start, column_start, worker * (scratch.size // workers)
    if one_column:  # one row of the product turned over, whose columns are the worker's rows
        rows_left = few_rows(
            flat(b), (0, b_steps[0]), flat(a), (a_steps[1], a_steps[0]), terms, flat(out), m, (0, 1, row_start, row_stop),
            bias, flags & ADD, slope, scratch, sums_at,
        )  # fmt: skip
        finish_column(flat(out), row_start, rows_left, bias, flags, slope)
    elif m <= FEW_ROWS and row_start < row_stop:
        done = few_rows(
            flat(a), a_steps, flat(b), b_steps, terms, flat(out), n, (row_start, row_stop, column_start, column_stop),
            bias, flags, slope, scratch, sums_at,
        )  # fmt: skip
    if rows_left < row_stop:
        blocks(
            flat(a), a_steps, flat(b), b_steps, terms, flat(out), (m, n), (rows_left, row_stop, done, column_stop),
            bias, flags, slope, scratch, sums_at,
        )  # fmt: skip
    activate(out, row_start, row_stop, column_start, column_stop, activation)


@kernel
def finish_column(out, start, stop, bias, flags, slope):
    """What follows the product, for out[start:stop] of one column."""
    if flags & BIAS:
        for i in range(np.uint64(start), np.uint64(stop)):
            out[i] += bias[0]
    if flags & RELU:
        zero = out.dtype.type(0)
        for i in range(np.uint64(start), np.uint64(stop)):
            below = zero if slope == zero else slope * out[i]
            out[i] = select(out[i] <= zero, below, out[i])


@kernel
def blocks(a, a_steps, b, b_steps, terms, out, shape, part, bias, flags, slope, scratch, b_packed):
    """Loops over blocks of NC columns, KC terms and MC rows; a and b are packed where that pays.

    Of all but small products the tiles without edges come first, then those on the right; the last rows are a block of their own.
    """
    m, n = shape
    row_start, row_stop, column_start, column_stop = part
    width, a_packed = np.int64(tile_columns(out)), b_packed + KC * NC
    large = max(m * terms, terms * n, m * n) > WHOLE_ELEMENTS
    packs_a = must_be_packed(a) or packing_pays(m * terms, n // width)
    packs_b = must_be_packed(b) or b_steps[1] != 1 or packing_pays(terms * n, m // MR) or (not MASKS and n % width != 0)
    for j in range(column_start, column_stop, NC):
        columns = min(NC, column_stop - j)
        whole = columns // width * width if large and row_stop - row_start >= MR else 0
        for p in range(0, terms, KC):
            depth = min(KC, terms - p)
            now = (flags & ADD if p == 0 else ADD) | (flags & ~ADD if p + depth == terms else 0)
            unpacked_at = (p * b_steps[0] + j * b_steps[1], b_steps[0])
            b_source, b_at, b_tile = readable(b, scratch), unpacked_at, width
            left = whole if packs_b and b_steps[1] == 1 and not must_be_packed(b) else 0  # columns that the first tiles pack
            if packs_b:
                b_source, b_at, b_tile = scratch, (b_packed, width), width * depth
                rest = unpacked_at[0] + left * b_steps[1]
                pack(b, rest, b_steps[0], b_steps[1], depth, columns - left, width, scratch, b_packed + left * depth)
            i = row_start
            while i < row_stop:
                rows = min(MC if packs_a else m, row_stop - i)
                done = np.int64(whole if rows >= MR else 0)
                if done:
                    rows = rows // MR * MR
                a_at = (i * a_steps[0] + p * a_steps[1], a_steps[0], a_steps[1])
                a_source, a_tile = readable(a, scratch), MR * a_steps[0]
                if packs_a:
                    pack(a, a_at[0], a_steps[1], a_steps[0], depth, rows, np.int64(MR), scratch, a_packed)
                    a_source, a_at, a_tile = scratch, (a_packed, 1, MR), MR * depth
                if done:
                    whole_tiles(
                        depth, a_source, a_at, a_tile, packs_a, b_source, b_at, b_tile, out, (i * n + j, n), (rows, done), bias, j,
                        now, slope, left != 0, readable(b, scratch), unpacked_at,
                    )  # fmt: skip
                    left = 0
                b_here, out_at, size = (b_at[0] + done // width * b_tile, b_at[1]), (i * n + j + done, n), (rows, columns - done)
                tiles(depth, a_source, a_at, a_tile, b_source, b_here, b_tile, out, out_at, size, bias, j + done, now, slope)
                i += rows


@kernel
def packing_pays(elements, tiles):
    """Whether to pack a matrix of so many elements that so many tiles read."""
    return elements > NEAR_ELEMENTS and tiles >= (FAR_TILES if elements > FAR_ELEMENTS else NEAR_TILES)


@kernel
def whole_tiles(
    depth, a, a_at, a_tile, packed_a, b, b_at, b_tile, out, out_at, size, bias, bias_start, flags, slope,
    packs, unpacked, unpacked_at,
):  # fmt: skip
    """`tiles` of a block without edges; where b is not packed yet, the first tile of each panel reads it from ``unpacked``.

    Of a packed a the distances are constants, which saves a third of the instructions between the multiply-adds.
    """
    width = tile_columns(out)
    whole = (np.int64(MR), width)
    for j in range(0, size[1], width):
        bias_here, b_here, first = bias_start + j, (b_at[0] + j // width * b_tile, b_at[1]), 0
        if packs:
            b_from, out_here = (unpacked_at[0] + j, unpacked_at[1]), (out_at[0] + j, out_at[1])
            packing_tile(depth, a, a_at, unpacked, b_from, out, out_here, whole, bias, bias_here, flags, slope, b, b_here[0])
            first = MR
        for i in range(first, size[0], MR):
            a_start, out_here = a_at[0] + i // MR * a_tile, (out_at[0] + i * out_at[1] + j, out_at[1])
            if packed_a:
                whole_tile(depth, a, (a_start, 1, MR), b, b_here, out, out_here, whole, bias, bias_here, flags, slope)
            else:
                whole_tile(depth, a, (a_start, a_at[1], a_at[2]), b, b_here, out, out_here, whole, bias, bias_here, flags, slope)


@kernel
def tiles(depth, a, a_at, a_tile, b, b_at, b_tile, out, out_at, size, bias, bias_start, flags, slope):
    """Loops over tiles, which lie ``a_tile`` and ``b_tile`` elements apart; half a tile's columns or fewer go to the narrow one."""
    width, narrow = tile_columns(out), tile_columns(out) // VECTORS
    for j in range(0, size[1], width):
        columns = min(width, size[1] - j)
        b_here = (b_at[0] + j // width * b_tile, b_at[1])
        for i in range(0, size[0], MR):
            a_here = (a_at[0] + i // MR * a_tile, a_at[1], a_at[2])
            out_here, here = (out_at[0] + i * out_at[1] + j, out_at[1]), (min(MR, size[0] - i), columns)
            if columns > narrow:
                wide_tile(depth, a, a_here, b, b_here, out, out_here, here, bias, bias_start + j, flags, slope)
            else:
                narrow_tile(depth, a, a_here, b, b_here, out, out_here, here, bias, bias_start + j, flags, slope)


@kernel
def activate(out, row_start, row_stop, column_start, column_stop, activation):
    """Apply sigmoid or tanh, if that is the activation, to a block of out."""
    if activation == ACTIVATION_SIGMOID:
        for i in range(row_start, row_stop):
            for j in range(np.uint64(column_start), np.uint64(column_stop)):
                out[i, j] = sigmoid(out[i, j])
    elif activation == ACTIVATION_TANH:
        for i in range(row_start, row_stop):
            for j in range(np.uint64(column_start), np.uint64(column_stop)):
                out[i, j] = tanh(out[i, j])


@kernel
def sum_rows(x, out, accumulate, worker, workers):
    """Rows are added in order, four at a time, in blocks of columns."""
    rows = x.shape[0]
    columns = indices(out.size, SUM_COLUMNS, worker, workers)
    if not accumulate:
        for n in columns:
            out[n] = out.dtype.type(0)
    fours = rows - rows % 4
    for m in range(np.uint64(0), np.uint64(fours), np.uint64(4)):
        for n in columns:
            out[n] = out[n] + x[m, n] + x[m + np.uint64(1), n] + x[m + np.uint64(2), n] + x[m + np.uint64(3), n]
    for m in range(np.uint64(fours), np.uint64(rows)):
        for n in columns:
            out[n] += x[m, n]
