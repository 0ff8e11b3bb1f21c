"""The loops around the micro-kernel, and the sum over rows. Definitions: ``reference/matmul.py``.

The five loops of BLIS. Which blocks are packed depends on the whole shape alone, and an element's terms are always added in
the same order, so the result is the same bits for any number of workers.
"""

from __future__ import annotations

from fastnn_kernels.cpu.matmul.blocking import KC, MC, NC
from fastnn_kernels.cpu.matmul.micro_kernel import ADD, BIAS, RELU, TILE, flat, narrow_tile, wide_tile
from fastnn_kernels.cpu.matmul.packing import pack_a, pack_b
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.partition import span
from fastnn_kernels.cpu.vector_math import sigmoid, tanh
from fastnn_kernels.instructions import ACTIVATION_RELU, ACTIVATION_SIGMOID, ACTIVATION_TANH

MR, MASKS = TILE.rows, TILE.masks
VECTOR_BYTES, VECTORS = TILE.vector_bytes, TILE.vectors

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
    width = VECTORS * VECTOR_BYTES // out.itemsize
    row_start, row_stop, column_start, column_stop = 0, m, 0, n
    if m >= n:
        row_start, row_stop = span(m, MR, worker, workers)
    else:
        column_start, column_stop = span(n, width, worker, workers)
    flags = (ADD if accumulate else 0) | (BIAS if bias.size else 0) | (RELU if activation == ACTIVATION_RELU else 0)
    slope = out.dtype.type(negative_slope)
    first_scratch = worker * (scratch.size // workers)
    product(
        flat(a), a.shape[0 if transpose_a else 1], a.shape[1], transpose_a, flat(b), b.shape[1], transpose_b, bias, flat(out), m, n,
        row_start, row_stop, column_start, column_stop, flags, slope, scratch, first_scratch,
    )  # fmt: skip
    if activation == ACTIVATION_SIGMOID or activation == ACTIVATION_TANH:
        activate(out, row_start, row_stop, column_start, column_stop, activation)


@kernel
def product(
    a, k, lda, transpose_a, b, ldb, transpose_b, bias, out, m, n,
    row_start, row_stop, column_start, column_stop, flags, slope, scratch, b_packed,
):  # fmt: skip
    """Loops over blocks: NC columns, KC terms, MC rows."""
    a_row, a_column = (1, lda) if transpose_a else (lda, 1)
    b_row, b_column = (1, ldb) if transpose_b else (ldb, 1)
    width = VECTORS * VECTOR_BYTES // out.itemsize
    packs_b = transpose_b or (k * n > PACK_ELEMENTS and m > PACK_TILES * MR) or (not MASKS and n % width != 0)
    packs_a = k * m > PACK_ELEMENTS and n > PACK_TILES * width
    a_packed = b_packed + KC * NC
    column = column_start
    while column < column_stop:
        columns = min(NC, column_stop - column)
        term = 0
        while term < k:
            depth = min(KC, k - term)
            block_flags = (flags & ADD if term == 0 else ADD) | (flags & (BIAS | RELU) if term + depth == k else 0)
            b_block = b_start = term * b_row + column * b_column
            if packs_b:
                pack_b(b, b_start, b_row, b_column, depth, columns, width, scratch, b_packed)
            row = row_start
            while row < row_stop:
                rows = min(MC, row_stop - row) if packs_a else row_stop - row
                a_block = row * a_row + term * a_column
                if packs_a:
                    pack_a(a, a_block, a_row, a_column, rows, depth, MR, scratch, a_packed)
                tiles(
                    scratch if packs_a else a, a_packed if packs_a else a_block, 1 if packs_a else a_row, MR if packs_a else a_column,
                    MR * depth if packs_a else MR * a_row, scratch if packs_b else b, b_packed if packs_b else b_block,
                    width if packs_b else b_row, width * depth if packs_b else width,
                    depth, rows, columns, width, out, row * n + column, n, bias, column, block_flags, slope,
                )  # fmt: skip
                row += rows
            term += depth
        column += columns


@kernel
def tiles(
    a, a_start, a_row, a_column, a_tile, b, b_start, b_row, b_tile,
    depth, rows, columns, width, out, out_start, out_row, bias, bias_start, flags, slope,
):  # fmt: skip
    """Loops over tiles; ``a_tile`` and ``b_tile`` are the distances between tiles. At most half a tile's columns go to the narrow one."""
    j = 0
    while j < columns:
        inside = min(width, columns - j)
        i = 0
        while i < rows:
            height = min(MR, rows - i)
            place = out_start + i * out_row + j
            if inside * VECTORS > width:
                wide_tile(
                    depth, a, a_start + i // MR * a_tile, a_row, a_column, b, b_start + j // width * b_tile, b_row,
                    out, place, out_row, height, inside, bias, bias_start + j, flags, slope,
                )  # fmt: skip
            else:
                narrow_tile(
                    depth, a, a_start + i // MR * a_tile, a_row, a_column, b, b_start + j // width * b_tile, b_row,
                    out, place, out_row, height, inside, bias, bias_start + j, flags, slope,
                )  # fmt: skip
            i += MR
        j += width


@kernel
def activate(out, row_start, row_stop, column_start, column_stop, activation):
    """Apply sigmoid or tanh to a block of out."""
    for i in range(row_start, row_stop):
        if activation == ACTIVATION_SIGMOID:
            for j in range(column_start, column_stop):
                out[i, j] = sigmoid(out[i, j])
        elif activation == ACTIVATION_TANH:
            for j in range(column_start, column_stop):
                out[i, j] = tanh(out[i, j])


@kernel
def sum_rows(x, out, accumulate, worker, workers):
    """Rows are added in order, in blocks of columns."""
    zero = out.dtype.type(0)
    start, stop = span(out.size, SUM_COLUMNS, worker, workers)
    if not accumulate:
        for n in range(start, stop):
            out[n] = zero
    for m in range(x.shape[0]):
        for n in range(start, stop):
            out[n] += x[m, n]
