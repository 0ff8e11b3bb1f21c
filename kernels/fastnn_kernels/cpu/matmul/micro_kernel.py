"""The micro-kernel: one tile of ``out = a @ b`` in registers, written to memory with what follows the product.

Contract, of the vector kernels and of their twin `plain_tile`::

    out[i, j] = relu(old[i, j] + sum over p < depth of a[i, p] * b[p, j] + bias[j])    for i < rows, j < columns

Arrays are flat. ``a_at = (start, row, column)`` says that ``a[i, p]`` is element ``start + i * row + p * column``; the other
matrices have columns 1 apart, so ``b_at`` and ``out_at`` are ``(start, row)``; ``bias[j]`` is element ``bias_start + j``.
``flags`` says which of old, bias and relu take part: ADD, BIAS, RELU; relu has the slope ``slope`` below 0. ``depth`` >= 1.
Terms are added in the order of p, each by one fused multiply-add, so an element's bits do not depend on its place in a tile.
Where the tile has no masks, b is readable for a whole tile's columns. a and b may be bfloat16, b only without masks.

Rows past the edge repeat the last row, and store its values again: no branches, nothing outside is touched. A whole tile needs
neither that nor masks, and asks for the old values before it needs them. A packing tile is a whole one that leaves a packed copy
of its panel of b for the tiles below it: ``b[p, j]`` goes to ``packed_start + p * columns + j`` at no cost in time, where a copy
beforehand costs a tenth of a product of 128 rows.
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastnn_kernels.cpu.floats import multiply_add, widened
from fastnn_kernels.cpu.matmul.blocking import PLAIN, Tile
from fastnn_kernels.cpu.matmul.vectors import I64, TILE, Vectors, element_pointer
from fastnn_kernels.cpu.options import kernel

ADD, BIAS, RELU = 1, 2, 4

AHEAD = 16
"""Rows of b that a packing tile asks for in advance: its rows lie apart, and no prefetcher of the CPU follows them."""


def _products(v: Vectors, depth: Any, a_rows: list[Any], a_column: Any, b: Any, b_row: Any, masks: list[Any], packed: Any) -> Any:
    """The k-loop: ``len(a_rows) x len(masks)`` vectors of sums; where ``packed`` is a pointer, b is copied there."""
    builder = v.builder
    before = builder.block
    loop, after = builder.append_basic_block("terms"), builder.append_basic_block("terms.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    p, a_offset, b_offset = (builder.phi(I64) for _ in range(3))
    sums = [[builder.phi(v.type) for _ in masks] for _ in a_rows]
    here = builder.gep(b, [b_offset])
    columns = [builder.gep(here, [I64(place * v.lanes)]) for place in range(len(masks))]
    b_vectors = [v.load(column, mask) for column, mask in zip(columns, masks, strict=True)]
    if packed is not None:
        row, ahead = builder.gep(packed, [builder.mul(p, I64(len(masks) * v.lanes))]), builder.mul(b_row, I64(AHEAD))
        for place, (x, column) in enumerate(zip(b_vectors, columns, strict=True)):
            v.store(x, builder.gep(row, [I64(place * v.lanes)]))
            v.prefetch(builder.gep(column, [ahead]), writes=False)
    updated = []
    for a_row, row_sums in zip(a_rows, sums, strict=True):
        a_value = v.spread(v.load_one(builder.gep(a_row, [a_offset])))
        updated.append([v.multiply_add(a_value, b_vector, old) for b_vector, old in zip(b_vectors, row_sums, strict=True)])
    steps = ((p, I64(1)), (a_offset, a_column), (b_offset, b_row))
    for counter, step in steps:
        counter.add_incoming(I64(0), before)
        counter.add_incoming(builder.add(counter, step), loop)
    for old_row, new_row in zip(sums, updated, strict=True):
        for old, new in zip(old_row, new_row, strict=True):
            old.add_incoming(v.zero, before)
            old.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", builder.add(p, I64(1)), depth), loop, after)
    builder.position_at_end(after)
    return updated


def _where(v: Vectors, condition: Any, tile: Any, change: Any) -> Any:
    """``change(i, j, vector)`` of every vector of the tile if the condition holds."""
    builder = v.builder
    before = builder.block
    with builder.if_then(condition):
        changed = [[change(i, j, x) for j, x in enumerate(row)] for i, row in enumerate(tile)]
        inside = builder.block
    merged = []
    for old_row, new_row in zip(tile, changed, strict=True):
        merged.append([builder.phi(v.type) for _ in old_row])
        for phi, old, new in zip(merged[-1], old_row, new_row, strict=True):
            phi.add_incoming(old, before)
            phi.add_incoming(new, inside)
    return merged


def _flag(builder: Any, flags: Any, bit: int) -> Any:
    return builder.icmp_signed("!=", builder.and_(flags, I64(bit)), I64(0))


def _finish(v: Vectors, sums: Any, targets: Any, masks: list[Any], bias: Any, flags: Any, slope: Any) -> Any:
    """What follows the product: the old values, the bias, relu."""
    builder = v.builder

    def with_old(i: int, j: int, x: Any) -> Any:
        return builder.fadd(v.load(targets[i][j], masks[j]), x)

    def with_bias(i: int, j: int, x: Any) -> Any:
        return builder.fadd(x, v.load(builder.gep(bias, [I64(j * v.lanes)]), masks[j]))

    slopes = v.spread(slope)
    sums = _where(v, _flag(builder, flags, ADD), sums, with_old)
    sums = _where(v, _flag(builder, flags, BIAS), sums, with_bias)
    return _where(v, _flag(builder, flags, RELU), sums, lambda i, j, x: v.relu(x, slopes))


def _tile(
    tile: Tile, vectors: int, whole_rows: bool, whole_columns: bool, context: Any, builder: Any, signature: Any, args: Any
) -> Any:  # fmt: skip
    """Emit a tile; the last two of ``args``, if there are so many, are where a packing tile packs."""
    depth, a, a_at, b, b_at, out, out_at, size, bias, bias_start, flags, slope, *packed_at = args
    a_type, b_type, out_type = signature.args[1:7:2]
    v = Vectors(builder, slope.type, tile.vector_bytes)
    a_start, a_row, a_column = cgutils.unpack_tuple(builder, a_at)
    b_start, b_row = cgutils.unpack_tuple(builder, b_at)
    out_start, out_row = cgutils.unpack_tuple(builder, out_at)
    rows, columns = cgutils.unpack_tuple(builder, size)

    def pointer(array: Any, start: Any, array_type: Any = out_type) -> Any:
        return element_pointer(context, builder, array_type, array, start)

    def pointers(first: Any, row: Any) -> list[Any]:
        return v.rows(first, row, tile.rows) if whole_rows else v.clamped_rows(first, row, rows, tile.rows)

    masks = [None if whole_columns else v.mask(columns, j * v.lanes) for j in range(vectors)]
    targets = [[builder.gep(row, [I64(j * v.lanes)]) for j in range(vectors)] for row in pointers(pointer(out, out_start), out_row)]
    if whole_rows and whole_columns:
        with builder.if_then(_flag(builder, flags, ADD)):
            for target in chain.from_iterable(targets):
                v.prefetch(target, writes=True)
    a_rows, b_masks, packed = pointers(pointer(a, a_start, a_type), a_row), masks if tile.masks else [None] * vectors, None
    if packed_at:
        packed = pointer(*packed_at)
    sums = _products(v, depth, a_rows, a_column, pointer(b, b_start, b_type), b_row, b_masks, packed)
    results = _finish(v, sums, targets, masks, pointer(bias, bias_start), flags, slope)
    for j, mask in enumerate(masks):
        column, places = [row[j] for row in results], [row[j] for row in targets]
        if mask is None or tile.masks:
            for x, place in zip(column, places, strict=True):
                v.store(x, place, mask)
        else:
            v.store_part(column, places, builder.sub(columns, I64(j * v.lanes)))
    return context.get_dummy_value()


def vector_tile_of(tile: Tile, vectors: int, *, whole_rows: bool = False, whole_columns: bool = False) -> Any:
    """A micro-kernel of ``tile.rows`` rows and ``vectors`` vectors of columns, or of fewer unless they are whole."""

    @intrinsic
    def vector_tile(
        typingctx: Any, depth: Any, a: Any, a_at: Any, b: Any, b_at: Any, out: Any, out_at: Any, size: Any,
        bias: Any, bias_start: Any, flags: Any, slope: Any,
    ) -> Any:  # fmt: skip
        pair, triple = types.UniTuple(types.int64, 2), types.UniTuple(types.int64, 3)
        signature = types.void(types.int64, a, triple, b, pair, out, pair, pair, bias, types.int64, types.int64, slope)
        return signature, partial(_tile, tile, vectors, whole_rows, whole_columns)

    return vector_tile


def packing_tile_of(tile: Tile) -> Any:
    """The micro-kernel of a whole tile that also packs b."""

    @intrinsic
    def packing_vector_tile(
        typingctx: Any, depth: Any, a: Any, a_at: Any, b: Any, b_at: Any, out: Any, out_at: Any, size: Any,
        bias: Any, bias_start: Any, flags: Any, slope: Any, packed: Any, packed_start: Any,
    ) -> Any:  # fmt: skip
        i8, pair, triple = types.int64, types.UniTuple(types.int64, 2), types.UniTuple(types.int64, 3)
        signature = types.void(i8, a, triple, b, pair, out, pair, pair, bias, i8, i8, slope, packed, i8)
        return signature, partial(_tile, tile, tile.vectors, True, True)

    return packing_vector_tile


@kernel
def plain_tile(depth, a, a_at, b, b_at, out, out_at, size, bias, bias_start, flags, slope):
    """The contract, element by element."""
    a_start, a_row, a_column = a_at
    zero = out.dtype.type(0)
    for i in range(size[0]):
        for j in range(size[1]):
            place = out_at[0] + i * out_at[1] + j
            total = zero
            for p in range(depth):
                total = multiply_add(widened(a[a_start + i * a_row + p * a_column]), widened(b[b_at[0] + p * b_at[1] + j]), total)
            if flags & ADD:
                total = out[place] + total
            if flags & BIAS:
                total += bias[bias_start + j]
            if flags & RELU and total <= zero:
                total = slope * total if slope != zero else zero
            out[place] = total


@kernel
def plain_packing_tile(depth, a, a_at, b, b_at, out, out_at, size, bias, bias_start, flags, slope, packed, packed_start):
    """The contract, in two steps."""
    plain_tile(depth, a, a_at, b, b_at, out, out_at, size, bias, bias_start, flags, slope)
    for p in range(depth):
        for j in range(size[1]):
            packed[packed_start + p * size[1] + j] = b[b_at[0] + p * b_at[1] + j]


if TILE is PLAIN:
    whole_tile = wide_tile = narrow_tile = plain_tile
    packing_tile = plain_packing_tile
else:
    wide_tile, narrow_tile = vector_tile_of(TILE, TILE.vectors), vector_tile_of(TILE, 1)
    whole_tile, packing_tile = vector_tile_of(TILE, TILE.vectors, whole_rows=True, whole_columns=True), packing_tile_of(TILE)
