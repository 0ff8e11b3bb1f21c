"""Packing: blocks of a and b copied into scratch memory in the order in which the micro-kernel reads them."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastnn_kernels.cpu.floats import widened
from fastnn_kernels.cpu.matmul.vectors import I64, TILE, Vectors, element_pointer
from fastnn_kernels.cpu.options import by_type, kernel

MR = TILE.rows

SIDE = 8
"""Rows and columns of the blocks that `copy_block` and `transpose_block` copy through registers."""

TERMS = 16
"""Terms of all panels that are copied before the next ones, where an item's terms lie apart: panels share cache lines."""

FAR = 64
"""Elements between rows from which on the next block's rows are asked for: no prefetcher of the CPU goes from row to row."""


def _block_copier(transposes: bool, *, spills: bool = False) -> Any:
    @intrinsic
    def copy_through_registers(typingctx: Any, source: Any, source_at: Any, out: Any, out_at: Any, size: Any) -> Any:
        pair = types.UniTuple(types.int64, 2)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source, source_at, out, out_at, size = args
            array_type = signature.args[0]
            item_bytes = array_type.dtype.bitwidth // 8
            v = Vectors(builder, context.get_value_type(array_type.dtype), SIDE * item_bytes)
            source_start, source_row = cgutils.unpack_tuple(builder, source_at)
            out_start, out_row = cgutils.unpack_tuple(builder, out_at)
            rows, columns = cgutils.unpack_tuple(builder, size)
            first = element_pointer(context, builder, array_type, source, source_start)
            target = element_pointer(context, builder, array_type, out, out_start)
            source_rows = v.clamped_rows(first, source_row, rows, SIDE)
            with builder.if_then(builder.icmp_signed(">=", source_row, I64(FAR))):
                for row in source_rows:
                    v.prefetch(builder.gep(row, [builder.mul(source_row, I64(SIDE))]), writes=False)
            inside = v.mask(columns, 0)
            block = [v.load(row, inside) for row in source_rows]
            if transposes:
                block, rows, columns = v.transpose(block), columns, rows
            block, targets = block[::-1], v.clamped_rows(target, out_row, rows, SIDE)[::-1]
            if TILE.masks:
                inside = v.mask(columns, 0)
                for x, row in zip(block, targets, strict=True):
                    v.store(x, row, inside)
            elif spills:
                v.store_spilling(block[::-1], targets[::-1], rows, columns)
            else:
                v.store_part(block, targets, columns)
            return context.get_dummy_value()

        return types.void(source, pair, out, pair, pair), codegen

    return copy_through_registers


copy_block, transpose_block = _block_copier(False), _block_copier(True)
"""``out[r, c] = source[r, c]``, or ``out[c, r]``, for r < rows <= SIDE and c < columns <= SIDE: ``size = (rows, columns)``.

Places are ``(start, row)`` in flat arrays. Rows past the edge are stored first, over them the last row.
"""

copy_to_panel, transpose_to_panel = _block_copier(False, spills=True), _block_copier(True, spills=True)
"""The same in a panel of at most SIDE columns or a multiple of them: up to SIDE elements from a row's start are written before the
next row is."""

assert MR <= SIDE
assert all(columns <= SIDE or columns % SIDE == 0 for columns in map(TILE.columns, (4, 8)))


@kernel
def copy_matrix(source, source_at, out, out_at, rows, columns, transposes):
    """``out[r, c] = source[r, c]``, or ``out[c, r]`` when it transposes."""
    start, row = source_at
    out_start, out_row = out_at
    for r in range(0, rows, SIDE):
        for c in range(0, columns, SIDE):
            size = (min(SIDE, rows - r), min(SIDE, columns - c))
            if transposes:
                transpose_block(source, (start + r * row + c, row), out, (out_start + c * out_row + r, out_row), size)
            else:
                copy_block(source, (start + r * row + c, row), out, (out_start + r * out_row + c, out_row), size)


@kernel
def copy_matrix_plainly(source, source_at, out, out_at, rows, columns, transposes):
    """`copy_matrix`, element by element."""
    for r in range(rows):
        for c in range(columns):
            place = c * out_at[1] + r if transposes else r * out_at[1] + c
            out[out_at[0] + place] = widened(source[source_at[0] + r * source_at[1] + c])


@kernel
def pack_panel(source, source_at, packed, packed_at, rows, columns, transposes):
    """`copy_matrix` into a panel, whose rows are terms. The sizes of whole blocks of a are constants to the compiler."""
    start, row = source_at
    place, width = packed_at
    terms, items = (columns, rows) if transposes else (rows, columns)
    for i in range(0, items, SIDE):
        some = min(SIDE, items - i)
        whole = terms - terms % SIDE if some == MR else 0
        for t in range(0, whole, SIDE):
            if transposes:
                transpose_to_panel(source, (start + i * row + t, row), packed, (place + t * width + i, width), (MR, SIDE))
            else:
                copy_to_panel(source, (start + t * row + i, row), packed, (place + t * width + i, width), (SIDE, MR))
        for t in range(whole, terms, SIDE):
            left = min(SIDE, terms - t)
            if transposes:
                transpose_to_panel(source, (start + i * row + t, row), packed, (place + t * width + i, width), (some, left))
            else:
                copy_to_panel(source, (start + t * row + i, row), packed, (place + t * width + i, width), (left, some))


def is_bfloat16(array: Any) -> bool:
    """Whether an array's type is that of bfloat16, by its bits."""
    return array.dtype == types.uint16


def _or_plainly(copier: Any) -> Any:
    """The form that suits the types and what is compiled for: from AVX2 on, parts of a vector of floats are loaded as fast."""
    return lambda source, *_: (copier if TILE.vector_bytes >= 32 and not is_bfloat16(source) else copy_matrix_plainly).py_func


@by_type(_or_plainly(copy_matrix))
def copy(source, source_at, out, out_at, rows, columns, transposes):
    """`copy_matrix`, or its twin."""


@by_type(_or_plainly(pack_panel))
def copy_panel(source, source_at, packed, packed_at, rows, columns, transposes):
    """`pack_panel`, or its twin."""


def _must_be_packed(array: Any) -> Any:
    packed = is_bfloat16(array)
    return lambda array: packed


@by_type(_must_be_packed)
def must_be_packed(array):
    """Whether the micro-kernel cannot read a matrix where it lies: bfloat16 becomes float32 on the way."""


@intrinsic
def readable(typingctx: Any, array: Any, scratch: Any) -> Any:
    """What the micro-kernel may read of a matrix: ``array``, or ``scratch`` if it must be packed."""
    chosen = int(is_bfloat16(array))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return args[chosen]

    return (array, scratch)[chosen](array, scratch), codegen


@kernel
def pack(source, start, term, item, terms, items, width, packed, packed_start):
    """Panels of ``width`` items, one after the other; in a panel the terms follow each other.

    For b an item is a column, for a it is a row. Term p of item j, at ``start + p * term + j * item``, where one of the two
    distances is 1, goes to ``(j // width) * width * terms + p * width + j % width``. Places of missing items are left as they
    are, or anything is written there: whatever the micro-kernel makes of them, it does not store.
    """
    transposes, p = item != 1, 0
    while p < terms:
        some, panel = min(terms if transposes else TERMS, terms - p), 0
        while panel < items:
            inside = min(width, items - panel)
            rows, columns, row = (inside, some, item) if transposes else (some, inside, term)
            place = packed_start + panel * terms + p * width
            copy_panel(source, (start + p * term + panel * item, row), packed, (place, width), rows, columns, transposes)
            panel += width
        p += some
