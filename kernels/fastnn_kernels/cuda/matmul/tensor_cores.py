"""Float32 products on tensor cores, from sm_80: each number as a sum of two with 11 bits, three products instead of one (3xTF32); with
`PRECISION_TENSORFLOAT32` one product of rounded numbers.

What is left out of three, the product of the two rests, is 2**-22 of a term at most. Tensor cores round sums towards zero, so only
the sums of one slab are theirs (Ootomo and Yokota 2022, "Recovering single precision accuracy from Tensor Cores").
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn_kernels.cuda.block import sync, thread
from fastnn_kernels.cuda.matmul.blocking import WARP, TensorTile
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
    places, multiply, put_sums, count = places_of(tile), multiply_of(tile), put_sums_of(tile), sums_of(tile)
    rows, columns, depth, b_first, stage = tile.rows, tile.columns, tile.depth, tile.slab_elements(tile.rows), tile.stage_elements
    stages, ahead, last = tile.stages, tile.stages - 2, (tile.stages - 1) * tile.stage_elements

    @kernel
    def sum_terms(a, b, shared, transpose_a, transpose_b, precision, first_i, first_j, first, stop):
        x, y, (a_rows, a_columns), (b_rows, b_columns) = flat(a), flat(b), a.shape, b.shape
        a_along, b_along, precise = transpose_a == 0, transpose_b != 0, precision != PRECISION_TENSORFLOAT32
        a_aligned, b_aligned = is_vector_aligned(x, a_columns), is_vector_aligned(y, b_columns)
        a_at, a_source, a_lines, a_left = begin_a(a_rows, a_columns, a_along, first_i, first, stop)
        b_at, b_source, b_lines, b_left = begin_b(b_rows, b_columns, b_along, first_j, first, stop)
        group, row, column, lane = places()
        sums = ptx.zeros(np.float32, count)
        reading, writing = 0, 0
        for term in range(-depth * (stages - 1), stop - first, depth):
            if term >= 0:
                ptx.copies_wait(ahead)
                sync()
            copy_a(shared, writing, x, a_columns, a_along, a_aligned, a_at, a_source, a_lines, a_left)
            copy_b(shared, writing + b_first, y, b_columns, b_along, b_aligned, b_at, b_source, b_lines, b_left)
            ptx.copies_commit()
            a_source, a_lines, a_left = advance_a(a_columns, a_along, a_source, a_lines, a_left)
            b_source, b_lines, b_left = advance_b(b_columns, b_along, b_source, b_lines, b_left)
            writing = 0 if writing == last else writing + stage
            if term >= 0:
                sums = multiply(sums, shared, reading, a_along, b_along, precise, group, row, column, lane)
                reading = 0 if reading == last else reading + stage
        ptx.copies_wait(0)
        sync()
        put_sums(sums, shared, (group * rows + row) * columns + column, lane)

    return sum_terms


def sums_of(tile: TensorTile) -> int:
    """Sums of a thread."""
    return tile.warp_rows * tile.warp_columns // WARP


def places_of(tile: TensorTile) -> Any:
    """``places()`` as in `micro_kernel`: this thread's group, the tile's rows and columns before its warp's part, and its lane."""
    members, rows, columns = tile.members, tile.warp_rows, tile.warp_columns
    warps_across = tile.columns // columns

    @kernel
    def places():
        member = thread() % members
        warp = member // WARP
        return thread() // members, warp // warps_across * rows, warp % warps_across * columns, member % WARP

    return places


def _loader(numbers: list[int]) -> Any:
    """``load(slabs, at)``: the numbers of a slab at these distances from ``at``."""
    loads = ", ".join(f"slabs[ptx.unsigned(at + {number})]" for number in numbers)
    return defined(f"def load(slabs, at):\n    return ({loads},)\n", ptx=ptx)


def loaders_of(tile: TensorTile, items: int, of_warp: int, step: int, *, along_terms: bool) -> tuple[Any, list[Any]]:
    """For a slab of ``items``: ``place(group, item, lane)``, where a lane's numbers begin, and what loads those of a warp's ``of_warp``
    items for each product of the slab; ``step`` is 16 for a, 8 for b. For the layouts see `ptx.mma_tf32`.
    """
    stride, terms_of_group = tile.stride(items, along_terms=along_terms), tile.depth // tile.groups
    item_step, term_step = (stride, 1) if along_terms else (1, stride)

    @kernel
    def place(group, item, lane):
        return (item + lane // 4) * item_step + (group * terms_of_group + lane % 4) * term_step

    loaders = []
    for start in range(0, terms_of_group, TERMS):
        corners = [(below, term) for term in (0, 4) for below in range(0, step, 8)]
        places = [(item + below, start + term) for item in range(0, of_warp, step) for below, term in corners]
        loaders.append(_loader([item * item_step + term * term_step for item, term in places]))
    return place, loaders


def multiply_of(tile: TensorTile) -> Any:
    """``multiply(sums, slabs, first, a_along, b_along, precise, group, row, column, lane)`` for a tile: add the products of the slabs
    from ``first`` on to a thread's sums.
    """
    (neither, b_alone), (a_alone, both) = ([_multiply_of(tile, a_along, b_along) for b_along in (False, True)] for a_along in (False, True))

    @kernel
    def multiply(sums, slabs, first, a_along, b_along, precise, group, row, column, lane):
        if a_along:
            if b_along:
                return both(sums, slabs, first, precise, group, row, column, lane)
            return a_alone(sums, slabs, first, precise, group, row, column, lane)
        if b_along:
            return b_alone(sums, slabs, first, precise, group, row, column, lane)
        return neither(sums, slabs, first, precise, group, row, column, lane)

    return multiply


def _multiply_of(tile: TensorTile, a_along: bool, b_along: bool) -> Any:
    """``multiply(sums, slabs, first, precise, group, row, column, lane)`` for operands that lie in one way."""
    place_a, (load_a_first, load_a_second) = loaders_of(tile, tile.rows, tile.warp_rows, 16, along_terms=a_along)
    place_b, (load_b_first, load_b_second) = loaders_of(tile, tile.columns, tile.warp_columns, 8, along_terms=b_along)
    b_first, count = tile.slab_elements(tile.rows), sums_of(tile)
    lines = ", ".join(f"sums[{place}] + part[{place}]" for place in range(count))
    add = defined(f"def add(sums, part):\n    return ({lines})\n")

    @kernel
    def multiply(sums, slabs, first, precise, group, row, column, lane):
        a_at, b_at = first + place_a(group, row, lane), first + b_first + place_b(group, column, lane)
        part = ptx.zeros(np.float32, count)
        if precise:
            part = three_products(part, load_a_first(slabs, a_at), load_b_first(slabs, b_at))
            part = three_products(part, load_a_second(slabs, a_at), load_b_second(slabs, b_at))
        else:
            part = one_product(part, load_a_first(slabs, a_at), load_b_first(slabs, b_at))
            part = one_product(part, load_a_second(slabs, a_at), load_b_second(slabs, b_at))
        return add(sums, part)

    return multiply


@kernel
def three_products(part, a, b):
    """``part + a @ b`` of a warp's tiles."""
    a_high, b_high = ptx.high_tf32(a), ptx.high_tf32(b)
    part = ptx.mma_tf32(part, ptx.rest_tf32(a, a_high), b_high)
    part = ptx.mma_tf32(part, a_high, ptx.rest_tf32(b, b_high))
    return ptx.mma_tf32(part, a_high, b_high)


@kernel
def one_product(part, a, b):
    """``part + a @ b`` of a warp's tiles, of rounded numbers."""
    return ptx.mma_tf32(part, ptx.round_tf32(a), ptx.round_tf32(b))


def put_sums_of(tile: TensorTile) -> Any:
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
