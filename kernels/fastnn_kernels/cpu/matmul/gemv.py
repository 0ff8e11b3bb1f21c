"""Products of few rows: panels of b that fill the registers, read where they lie, at the speed of memory.

The tile of other products reads 128 bytes of a row of b and goes on to the next row, often on another page, and computes eight
rows where there is one. Here one row's sums fill half of the registers (AVX-512): 1 KiB of each row of b in turn. The terms are
added as there, in the order of p and in blocks of KC, so a row has the same bits alone and among others. That is why one row
times a transposed b is not a sum over lanes either: squares of b are transposed in registers. A product of one column is one row
of the product turned over.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastnn_kernels.cpu.floats import multiply_add, widened
from fastnn_kernels.cpu.matmul.blocking import AVX512, KC, PLAIN, Tile
from fastnn_kernels.cpu.matmul.micro_kernel import ADD, BIAS, RELU, plain_tile, vector_tile_of
from fastnn_kernels.cpu.matmul.vectors import I64, TILE, Vectors, element_pointer, tile_columns
from fastnn_kernels.cpu.options import kernel, ordered_kernel

FEW_ROWS = 2
"""Three rows are as fast in the tile of other products."""

VECTORS = TILE.vectors
"""Vectors of columns in that tile."""

LONG, SHORT = (16, 8) if TILE is AVX512 else (8, 4)
"""Vectors of columns in a panel of one row and in a panel of FEW_ROWS. More spill, with 32 registers on NEON too: it loads all of b
before it multiplies."""


DOTS = 2
"""Vectors of sums that `dots` works on at a time: each waits for its last product, and one alone would wait most of the time."""


def panel_of(rows: int, vectors: int) -> Any:
    """A micro-kernel for whole vectors, which need no masks."""
    return plain_tile if TILE is PLAIN else vector_tile_of(Tile(rows, vectors, TILE.vector_bytes, masks=False), vectors)


long_panel, short_panel = panel_of(1, LONG), panel_of(FEW_ROWS, SHORT)


@intrinsic
def dots(typingctx: Any, terms: Any, a: Any, a_at: Any, b: Any, b_at: Any, sums: Any, sums_at: Any) -> Any:
    """``sums[j] = sum over p < terms of a[p] * b[j, p]``, in the order of p, for `DOTS` vectors of j; terms fill whole vectors.

    Places as in the micro-kernel, ``a_at = (start, step)``.
    """
    pair = types.UniTuple(types.int64, 2)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        terms, a, a_at, b, b_at, sums, sums_at = args
        v = Vectors(builder, context.get_value_type(signature.args[5].dtype), TILE.vector_bytes)
        a_start, a_step = cgutils.unpack_tuple(builder, a_at)
        b_start, b_row = cgutils.unpack_tuple(builder, b_at)
        starts = (signature.args[1], a, a_start), (signature.args[3], b, b_start), (signature.args[5], sums, sums_at)
        first, row, target = (element_pointer(context, builder, *start) for start in starts)
        totals = [cgutils.alloca_once_value(builder, v.zero) for _ in range(DOTS)]
        with cgutils.for_range_slice(builder, I64(0), terms, I64(v.lanes), inc=True) as (p, _):
            places = [builder.mul(a_step, builder.add(p, I64(i))) for i in range(v.lanes)]
            factors = [v.spread(v.load_one(builder.gep(first, [place]))) for place in places]
            rows = v.rows(builder.gep(row, [p]), b_row, DOTS * v.lanes)
            for number, total in enumerate(totals):
                columns = v.transpose([v.load(row) for row in rows[number * v.lanes : (number + 1) * v.lanes]])
                for factor, column in zip(factors, columns, strict=True):
                    builder.store(v.multiply_add(factor, column, builder.load(total)), total)
        for number, total in enumerate(totals):
            v.store(builder.load(total), builder.gep(target, [I64(number * v.lanes)]))
        return context.get_dummy_value()

    return types.void(types.int64, a, pair, b, pair, sums, types.int64), codegen


@ordered_kernel
def one_row_of_dots(a, a_step, b, b_row, terms, out, part, bias, flags, slope, sums, sums_at):
    """`few_rows` for one row and a transposed b."""
    _, _, j, column_stop = part
    lanes, zero = tile_columns(out) // VECTORS, out.dtype.type(0)
    columns = DOTS * lanes
    while j + columns <= column_stop:
        for p in range(0, terms, KC):
            stop = min(p + KC, terms)
            whole = (stop - p) // lanes * lanes
            dots(whole, a, (p * a_step, a_step), b, (j * b_row + p, b_row), sums, sums_at)
            now = (flags & ADD if p == 0 else ADD) | (flags & ~ADD if stop == terms else 0)
            for c in range(columns):
                total = sums[sums_at + c]
                for q in range(p + whole, stop):
                    total = multiply_add(widened(a[q * a_step]), widened(b[(j + c) * b_row + q]), total)
                if now & ADD:
                    total = out[j + c] + total
                if now & BIAS:
                    total += bias[j + c]
                if now & RELU and total <= zero:
                    total = slope * total if slope != zero else zero
                out[j + c] = total
        j += columns
    return j


@kernel
def few_rows(a, a_steps, b, b_steps, terms, out, n, part, bias, flags, slope, sums, sums_at):
    """Compute the columns of ``part`` that fill whole panels, for at most FEW_ROWS rows; returns where the others begin."""
    row_start, row_stop, j, column_stop = part
    if b_steps[1] != 1 and row_stop == 1:
        return one_row_of_dots(a, a_steps[1], b, b_steps[1], terms, out, part, bias, flags, slope, sums, sums_at)
    rows, lanes = row_stop - row_start, tile_columns(out) // VECTORS
    while b_steps[1] == 1 and j + SHORT * lanes <= column_stop:
        long = rows == 1 and j + LONG * lanes <= column_stop
        out_at = (row_start * n + j, n)
        for p in range(0, terms, KC):
            depth = min(KC, terms - p)
            now = (flags & ADD if p == 0 else ADD) | (flags & ~ADD if p + depth == terms else 0)
            a_at = (row_start * a_steps[0] + p * a_steps[1], a_steps[0], a_steps[1])
            b_at = (p * b_steps[0] + j, b_steps[0])
            if long:
                long_panel(depth, a, a_at, b, b_at, out, out_at, (1, LONG * lanes), bias, j, now, slope)
            else:
                short_panel(depth, a, a_at, b, b_at, out, out_at, (rows, SHORT * lanes), bias, j, now, slope)
        j += LONG * lanes if long else SHORT * lanes
    return j
