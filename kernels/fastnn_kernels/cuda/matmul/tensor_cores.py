"""Float32 products on tensor cores, from sm_80: each number as a sum of two with 11 bits, three products instead of one (3xTF32).

What is left out, the product of the two rests, is 2**-22 of a term at most. Tensor cores round sums towards zero, so only the
sums of one slab are theirs (Ootomo and Yokota 2022, "Recovering single precision accuracy from Tensor Cores").
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn_kernels.cuda.matmul.blocking import STRIP, Tile
from fastnn_kernels.cuda.quads import defined, flat
from fastnn_kernels.cuda.target import kernel, ptx
from fastnn_kernels.cuda.vector_math import isfinite

COLUMN_TILES = 4
"""Tiles of 8 columns that a warp works on, beside each other; below each other there is one, of 16 rows."""

TERMS = 8
"""Of a product of tiles; after two of them `packing`'s flips repeat."""


def _loader(tile: Tile, first: int, stride: int, places: list[tuple[int, int]], *, rows: bool) -> Any:
    """``load(slabs, term, item, t)``: numbers of a slab at the distances ``places``, items and terms, from there.

    ``item``'s bit of 8 is 0, and unless it is one of ``rows`` its bit of 16: nearly all of `packing`'s flips are constants.
    """
    numbers = []
    for items, terms in places:
        flip = tile.flip(terms)
        base, distance = ("other", items ^ flip ^ STRIP) if rows and flip & STRIP else ("at", items ^ flip)
        numbers.append(f"slabs[ptx.unsigned({base} + {terms * stride + distance})]")
    lines = ["def load(slabs, term, item, t):", f"    line = {first} + (term + t) * {stride}"]
    lines += [f"    at, other = line + item, line + (item ^ {STRIP})", f"    return ({', '.join(numbers)})"]
    return defined("\n".join(lines), ptx=ptx)


def tensor_multiply_of(tile: Tile) -> Any:
    """``multiply(sums, slabs, group, row, column, lane)`` for a tile, as in `micro_kernel`; for the layouts see `ptx.mma_tf32`."""
    a_stride, b_stride, depth = tile.rows + tile.padding, tile.columns + tile.padding, tile.depth
    load_a, load_b = [], []
    for start in (0, TERMS):
        a_places = [(items, start + terms) for terms in (0, 4) for items in (0, 8)]
        b_places = [(8 * number, start + terms) for number in range(COLUMN_TILES) for terms in (0, 4)]
        load_a.append(_loader(tile, 0, a_stride, a_places, rows=True))
        load_b.append(_loader(tile, depth * a_stride, b_stride, b_places, rows=False))
    (load_a_first, load_a_second), (load_b_first, load_b_second) = load_a, load_b
    sums_of = ", ".join(f"sums[{place}] + part[{place}]" for place in range(STRIP))
    add = defined(f"def add(sums, part):\n    return ({sums_of})\n")

    @kernel
    def multiply_terms(part, a, b):
        a_high, b_high = ptx.round_tf32(a), ptx.round_tf32(b)
        part = ptx.mma_tf32(part, ptx.rest_tf32(a, a_high), b_high)
        part = ptx.mma_tf32(part, a_high, ptx.rest_tf32(b, b_high))
        return ptx.mma_tf32(part, a_high, b_high)

    @kernel
    def multiply(sums, slabs, group, row, column, lane):
        i, j, t = row + lane // 4, column + lane // 4, lane % 4
        part = ptx.zeros(np.float32, STRIP)
        for term in range(0, depth, 2 * TERMS):
            part = multiply_terms(part, load_a_first(slabs, term, i, t), load_b_first(slabs, term, j, t))
            part = multiply_terms(part, load_a_second(slabs, term, i, t), load_b_second(slabs, term, j, t))
        return add(sums, part)

    return multiply


def put_tensor_sums_of(tile: Tile) -> Any:
    """``put_sums(sums, shared, at, lane)`` for a tile, as in `micro_kernel`."""
    columns = tile.columns
    lines = ["def put_sums(sums, shared, at, lane):", f"    first = at + lane // 4 * {columns} + lane % 4 * 2"]
    for number in range(COLUMN_TILES):
        for place, distance in enumerate((0, 1, 8 * columns, 8 * columns + 1)):
            lines.append(f"    shared[ptx.unsigned(first + {8 * number + distance})] = sums[{4 * number + place}]")
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
