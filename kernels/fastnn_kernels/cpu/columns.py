"""Matrices with few columns, many rows at a time: a row of four classes does not fill a vector, a column of 32 rows does.

Such a block lives on the stack: ``block[c, r]`` is column c of row r. What it holds for missing rows and columns is never stored.
"""

from __future__ import annotations

from math import prod
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from fastnn_kernels.cpu.matmul.packing import copy
from fastnn_kernels.cpu.matmul.vectors import I64, flat
from fastnn_kernels.cpu.options import kernel

LANES = 32
"""Rows in a block."""

BLOCK_AT = (0, LANES)
"""Where a flat block begins, and the distance between its columns."""

NARROW = 32
"""Columns of the widest matrix that is worked on this way: beyond it a row fills vectors of its own."""


def stack_array(*shape: int) -> Any:
    """``array(like)``: an uninitialised array on the caller's stack, of the argument's dtype."""

    @intrinsic
    def on_stack(typingctx: Any, like: Any) -> Any:
        array_type = types.Array(like.dtype, len(shape), "C")

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            item = context.get_data_type(like.dtype)
            item_bytes = context.get_abi_sizeof(item)
            memory = cgutils.alloca_once(builder, ir.ArrayType(item, prod(shape)))
            memory.align = 64
            array = context.make_array(array_type)(context, builder)
            sizes = [I64(size) for size in shape]
            strides = [I64(item_bytes * prod(shape[axis + 1 :])) for axis in range(len(shape))]
            data = builder.bitcast(memory, item.as_pointer())
            populate_array(array, data=data, shape=sizes, strides=strides, itemsize=I64(item_bytes), meminfo=None)
            return array._getvalue()

        return array_type(like), codegen

    return on_stack


column_block, lanes = stack_array(NARROW, LANES), stack_array(LANES)
"""Uninitialised arrays on the caller's stack, of the argument's dtype: a block, and one element a row."""


@kernel
def load_columns(x, first, block):
    """The block of the rows that begin with ``first``; returns how many there are."""
    rows = min(LANES, x.shape[0] - first)
    copy(flat(x), (first * x.shape[1], x.shape[1]), flat(block), BLOCK_AT, rows, x.shape[1], True)
    return rows


@kernel
def store_columns(block, rows, x, first, accumulate):
    """``x[first : first + rows]`` from a block, or added to what is there; the block changes then."""
    if accumulate:
        for r in range(rows):
            for c in range(x.shape[1]):
                block[c, r] += x[first + r, c]
    copy(flat(block), BLOCK_AT, flat(x), (first * x.shape[1], x.shape[1]), x.shape[1], rows, True)
