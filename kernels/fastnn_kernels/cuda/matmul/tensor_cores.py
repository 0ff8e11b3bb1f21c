"""Float32 products on tensor cores, from sm_80: each number as a sum of two with 11 bits, three products instead of one (3xTF32);
with `PRECISION_TENSORFLOAT32` one product of rounded numbers.

What is left out of three, the product of the two rests, is 2**-22 of a term at most. Tensor cores round sums towards zero, so only
those of eight terms are theirs (Ootomo and Yokota 2022, "Recovering single precision accuracy from Tensor Cores").
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn_kernels.cuda.block import sync, thread
from fastnn_kernels.cuda.matmul.blocking import WARP, TensorTile, WarpTile
from fastnn_kernels.cuda.matmul.copies import copies_of, is_vector_aligned
from fastnn_kernels.cuda.quads import defined, flat
from fastnn_kernels.cuda.target import kernel, ptx
from fastnn_kernels.cuda.vector_math import isfinite
from fastnn_kernels.instructions import PRECISION_TENSORFLOAT32

TERMS = 8
"""Of one product of tiles, 16x8 by 8x8; a group has two of them in a slab."""


def tensor_sum_of(tile: TensorTile) -> Any:
    """``sum_terms(a, ...)`` for `split.product_of`: while a slab's products are computed, the next ones are on their way."""
    (begin_a, copy_a, advance_a), (begin_b, copy_b, advance_b) = copies_of(tile, tile.rows), copies_of(tile, tile.columns)
    places, put_sums, count, (where, multiply) = places_of(tile), put_sums_of(tile), tile.sums, multiply_of(tile)
    rows, columns, depth, b_first, stage = tile.rows, tile.columns, tile.depth, tile.slab_elements(tile.rows), tile.stage_elements
    stages, ahead, last = tile.stages, tile.stages - 2, (tile.stages - 1) * tile.stage_elements

    @kernel
    def sum_terms(a, b, shared, transpose_a, transpose_b, precision, first_i, first_j, first, stop):
        x, y, (a_rows, a_columns), (b_rows, b_columns) = flat(a), flat(b), a.shape, b.shape
        a_aligned, b_aligned = is_vector_aligned(x, a_columns), is_vector_aligned(y, b_columns)
        a_columns, b_columns = ptx.int32(a_columns), ptx.int32(b_columns)
        a_source, a_lines, a_left = begin_a(a_rows, a_columns, transpose_a == 0, first_i, first, stop)
        b_source, b_lines, b_left = begin_b(b_rows, b_columns, transpose_b != 0, first_j, first, stop)
        sums = ptx.zeros(np.float32, count)
        writing = ptx.int32(0)
        for term in range(ptx.int32(-depth * (stages - 1)), ptx.int32(stop - first), ptx.int32(depth)):
            if term >= 0:
                ptx.copies_wait(ahead)
                sync()
            a_along, b_along = ptx.again(ptx.int32(transpose_a)) == 0, ptx.again(ptx.int32(transpose_b)) != 0
            copy_a(shared, writing, x, a_columns, a_along, a_aligned, a_source, a_lines, a_left)
            copy_b(shared, writing + b_first, y, b_columns, b_along, b_aligned, b_source, b_lines, b_left)
            ptx.copies_commit()
            a_source, a_lines, a_left = advance_a(a_columns, a_along, a_source, a_lines, a_left)
            b_source, b_lines, b_left = advance_b(b_columns, b_along, b_source, b_lines, b_left)
            writing = ptx.int32(0 if writing == last else writing + stage)
            if term >= 0:  # the slab that will be overwritten next
                a_place, b_place = where(a_along, b_along)
                precise = ptx.again(ptx.int32(precision)) != PRECISION_TENSORFLOAT32
                sums = multiply(sums, shared, ptx.int32(writing + a_place), ptx.int32(writing + b_place), a_along, b_along, precise)
        ptx.copies_wait(0)
        sync()
        group, row, column, lane = places()
        put_sums(sums, shared, (group * rows + row) * columns + column, lane)

    return sum_terms


def places_of(tile: WarpTile) -> Any:
    """``places()`` as in `micro_kernel`: this thread's group, the tile's rows and columns before its warp's part, and its lane."""
    members, rows, columns = tile.members, tile.warp_rows, tile.warp_columns
    warps_across = tile.columns // columns

    @kernel
    def places():
        member = thread() % members
        warp = member // WARP
        return thread() // members, warp // warps_across * rows, warp % warps_across * columns, member % WARP

    return places


def _loader(stride: int, items: int, step: int, *, along_terms: bool) -> Any:
    """``load(slabs, at)``: a lane's numbers of ``items`` neighbours, for one product; ``stride``: of the slab's lines.

    ``step`` is 16 for a, 8 for b. For the layouts see `ptx.mma_tf32`.
    """
    item_step, term_step = (stride, 1) if along_terms else (1, stride)
    corners = [(below, term) for term in (0, 4) for below in range(0, step, 8)]
    places = [(item + below) * item_step + term * term_step for item in range(0, items, step) for below, term in corners]
    loads = ", ".join(f"slabs[ptx.unsigned(at + {place})]" for place in places)
    return defined(f"def load(slabs, at):\n    return ({loads},)\n", ptx=ptx)


def multiply_of(tile: TensorTile) -> tuple[Any, Any]:
    """``where(a_along, b_along)`` for a tile: the places in a slab of a lane's first numbers of a and of b; and
    ``multiply(sums, slabs, a_at, b_at, a_along, b_along, precise)``: add a slab's products to a thread's sums.
    """
    places, terms_of_group, b_first = places_of(tile), tile.depth // tile.groups, tile.slab_elements(tile.rows)
    along, a_across = tile.stride(tile.rows, along_terms=True), tile.stride(tile.rows, along_terms=False)
    b_across = tile.stride(tile.columns, along_terms=False)
    (neither, b_alone), (a_alone, both) = ([_multiply_of(tile, left, right) for right in (False, True)] for left in (False, True))

    @kernel
    def where(a_along, b_along):
        group, row, column, lane = places()
        i, j, t = row + lane // 4, column + lane // 4, group * terms_of_group + lane % 4
        a_place, b_place = i * along + t if a_along else t * a_across + i, j * along + t if b_along else t * b_across + j
        return ptx.int32(a_place), ptx.int32(b_first + b_place)

    @kernel
    def multiply(sums, slabs, a_at, b_at, a_along, b_along, precise):
        if a_along:
            return both(sums, slabs, a_at, b_at, precise) if b_along else a_alone(sums, slabs, a_at, b_at, precise)
        return b_alone(sums, slabs, a_at, b_at, precise) if b_along else neither(sums, slabs, a_at, b_at, precise)

    return where, multiply


def _multiply_of(tile: TensorTile, a_along: bool, b_along: bool) -> Any:
    """``multiply(sums, slabs, a_at, b_at, precise)`` for operands that lie in one way."""
    a_stride, b_stride = tile.stride(tile.rows, along_terms=a_along), tile.stride(tile.columns, along_terms=b_along)
    load_a = _loader(a_stride, tile.warp_rows, 16, along_terms=a_along)
    load_b = _loader(b_stride, tile.warp_columns, 8, along_terms=b_along)
    a_step, b_step, steps = (
        TERMS * (1 if a_along else a_stride),
        TERMS * (1 if b_along else b_stride),
        tile.depth // tile.groups // TERMS,
    )

    @kernel
    def multiply(sums, slabs, a_at, b_at, precise):
        for _ in range(ptx.again(ptx.int32(steps))):  # not unrolled: the numbers of one product are as many as registers hold
            a, b = load_a(slabs, a_at), load_b(slabs, b_at)
            sums = ptx.mma_3xtf32(sums, a, b) if precise else ptx.mma_tf32(sums, ptx.round_tf32(a), ptx.round_tf32(b))
            a_at, b_at = ptx.int32(a_at + a_step), ptx.int32(b_at + b_step)
        return sums

    return multiply


def put_sums_of(tile: WarpTile) -> Any:
    """``put_sums(sums, shared, at, lane)`` for a tile, as in `micro_kernel`."""
    columns, number = tile.columns, 0
    lines = ["def put_sums(sums, shared, at, lane):", f"    first = at + lane // 4 * {columns} + lane % 4 * 2"]
    for row in range(0, tile.warp_rows, 16):
        for column in range(0, tile.warp_columns, 8):
            for distance in (0, 1, 8 * columns, 8 * columns + 1):
                lines.append(f"    shared[ptx.unsigned(first + {row * columns + column + distance})] = sums[{number}]")
                number += 1
    return defined("\n".join(lines), ptx=ptx)


@kernel
def exact_unless_finite(value, a, b, i, j, transpose_a, transpose_b):
    """An infinite term has an undefined rest, so a result that is not finite is computed again from its terms."""
    if isfinite(value):
        return value
    x, y, total = flat(a), flat(b), type(value)(0)
    transpose_a, transpose_b = ptx.again(ptx.int32(transpose_a)), ptx.again(ptx.int32(transpose_b))
    terms, x_step, y_step = a.shape[1], 1, b.shape[1]
    x_at, y_at = i * a.shape[1], j
    if transpose_a:
        terms, x_step, x_at = a.shape[0], a.shape[1], i
    if transpose_b:
        y_step, y_at = 1, j * b.shape[1]
    for _ in range(terms):
        total += x[ptx.unsigned(x_at)] * y[ptx.unsigned(y_at)]
        x_at, y_at = x_at + x_step, y_at + y_step
    return total
