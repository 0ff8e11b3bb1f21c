"""The loops around the micro-kernel, and the sum over rows. Definitions: ``reference/matmul.py``.

The five loops of BLIS. Which blocks are packed depends on the whole shape alone, and an element's terms are always added in
the same order, so the result is the same bits for any number of workers.
"""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cpu.matmul.blocking import KC, MC, NC
from fastnn_kernels.cpu.matmul.gemv import FEW_ROWS, few_rows
from fastnn_kernels.cpu.matmul.micro_kernel import ADD, BIAS, RELU, narrow_tile, wide_tile
from fastnn_kernels.cpu.matmul.packing import pack
from fastnn_kernels.cpu.matmul.vectors import TILE, flat, tile_columns
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.partition import indices, span
from fastnn_kernels.cpu.vector_math import sigmoid, tanh
from fastnn_kernels.instructions import ACTIVATION_RELU, ACTIVATION_SIGMOID, ACTIVATION_TANH

MR, VECTORS, MASKS = TILE.rows, TILE.vectors, TILE.masks

PACK_ELEMENTS = 65536
"""A larger matrix is packed when enough tiles read it: unpacked, its rows lie on too many pages."""

PACK_TILES = 4
"""Tiles that read a matrix again before packing it pays."""

SUM_COLUMNS = 64
"""Columns in a block of `sum_rows`."""


@kernel
def matmul(a, b, bias, scratch, out, transpose_a, transpose_b, activation, negative_slope, accumulate, worker, workers):
    """The larger side of out is split among the workers, by whole tiles."""
    m, n = out.shape
    if m >= n:
        (row_start, row_stop), (column_start, column_stop) = span(m, MR, worker, workers), (0, n)
    else:
        (row_start, row_stop), (column_start, column_stop) = (0, m), span(n, tile_columns(out), worker, workers)
    flags = (ADD if accumulate else 0) | (BIAS if bias.size else 0) | (RELU if activation == ACTIVATION_RELU else 0)
    terms = a.shape[0] if transpose_a else a.shape[1]
    a_steps = (1, a.shape[1]) if transpose_a else (a.shape[1], 1)
    b_steps = (1, b.shape[1]) if transpose_b else (b.shape[1], 1)
    slope, part, done = out.dtype.type(negative_slope), (row_start, row_stop, column_start, column_stop), column_start
    if m <= FEW_ROWS:
        done = few_rows(flat(a), a_steps, flat(b), b_steps, terms, flat(out), n, part, bias, flags, slope)
    blocks(
        flat(a), a_steps, flat(b), b_steps, terms, flat(out), (m, n), (row_start, row_stop, done, column_stop),
        bias, flags, slope, scratch, worker * (scratch.size // workers),
    )  # fmt: skip
    activate(out, row_start, row_stop, column_start, column_stop, activation)


@kernel
def blocks(a, a_steps, b, b_steps, terms, out, shape, part, bias, flags, slope, scratch, b_packed):
    """Loops over blocks of NC columns, KC terms and MC rows; a and b are packed where that pays."""
    m, n = shape
    row_start, row_stop, column_start, column_stop = part
    width, a_packed = np.int64(tile_columns(out)), b_packed + KC * NC
    packs_a = m * terms > PACK_ELEMENTS and n > PACK_TILES * width
    packs_b = b_steps[1] != 1 or (terms * n > PACK_ELEMENTS and m > PACK_TILES * MR) or (not MASKS and n % width != 0)
    for j in range(column_start, column_stop, NC):
        columns = min(NC, column_stop - j)
        for p in range(0, terms, KC):
            depth = min(KC, terms - p)
            block_flags = (flags & ADD if p == 0 else ADD) | (flags & ~ADD if p + depth == terms else 0)
            b_source, b_at, b_tile = b, (p * b_steps[0] + j * b_steps[1], b_steps[0]), width
            if packs_b:
                pack(b, b_at[0], b_steps[0], b_steps[1], depth, columns, width, scratch, b_packed)
                b_source, b_at, b_tile = scratch, (b_packed, width), width * depth
            block_rows = MC if packs_a else row_stop - row_start
            i = row_start
            while i < row_stop:
                rows = min(block_rows, row_stop - i)
                a_source, a_at, a_tile = a, (i * a_steps[0] + p * a_steps[1], a_steps[0], a_steps[1]), MR * a_steps[0]
                if packs_a:
                    pack(a, a_at[0], a_steps[1], a_steps[0], depth, rows, np.int64(MR), scratch, a_packed)
                    a_source, a_at, a_tile = scratch, (a_packed, 1, MR), MR * depth
                size, out_at = (rows, columns), (i * n + j, n)
                tiles(depth, a_source, a_at, a_tile, b_source, b_at, b_tile, out, out_at, size, bias, j, block_flags, slope)
                i += block_rows


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
    """Rows are added in order, in blocks of columns."""
    zero = out.dtype.type(0)
    columns = indices(out.size, SUM_COLUMNS, worker, workers)
    if not accumulate:
        for n in columns:
            out[n] = zero
    for m in range(x.shape[0]):
        for n in columns:
            out[n] += x[m, n]
