"""From a and b to shared memory past the registers, several slabs ahead of the products: `TensorTile.stages` of them lie there.

An operand is a matrix of items, the rows of a or the columns of b, by terms, as in `packing`; here a slab keeps its order.
Elements that do not exist become 0.
"""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, thread
from fastnn_kernels.cuda.matmul.blocking import TensorTile
from fastnn_kernels.cuda.quads import VECTOR_BYTES, defined, is_aligned
from fastnn_kernels.cuda.target import kernel, ptx


@kernel
def is_vector_aligned(x, columns):
    """Whether every row of the matrix ``x`` begins where 128 bits may be copied."""
    return is_aligned(x, ptx.unsigned(0), VECTOR_BYTES) and columns * x.itemsize % VECTOR_BYTES == 0


def copies_of(tile: TensorTile, items_of_slab: int) -> Any:
    """``copy(slabs, first, x, rows, columns, along_terms, aligned, first_item, first_term, stop)`` for an operand of a tile: its slab
    to the places from ``first`` on, of the terms before ``stop``.
    """
    quads = items_of_slab * tile.depth // (4 * THREADS)
    quads_of_item, quads_of_term = tile.depth // 4, items_of_slab // 4
    item_stride, term_stride = (tile.stride(items_of_slab, along_terms=along) for along in (True, False))

    @kernel
    def copy_quad(slabs, at, x, row, stop_row, column, stop_column, columns, aligned):
        left = min(4, stop_column - column) if row < stop_row else 0
        count, source = ptx.unsigned(max(0, left)), row * columns + column
        if aligned:
            ptx.copy_words_async(slabs, ptx.unsigned(at), x, ptx.unsigned(source), count)
            return
        for place in range(4):
            there = ptx.unsigned(1 if place < left else 0)
            ptx.copy_word_async(slabs, ptx.unsigned(at + place), x, ptx.unsigned(source + place), there)

    @kernel
    def copy_along_terms(slabs, first, x, rows, columns, aligned, first_item, first_term, stop, number):
        quad = thread() + number * THREADS
        item, term = quad // quads_of_item, 4 * (quad % quads_of_item)
        at, row, column = first + item * item_stride + term, first_item + item, first_term + term
        copy_quad(slabs, at, x, row, rows, column, stop, columns, aligned)

    @kernel
    def copy_along_items(slabs, first, x, rows, columns, aligned, first_item, first_term, stop, number):
        quad = thread() + number * THREADS
        term, item = quad // quads_of_term, 4 * (quad % quads_of_term)
        at, row, column = first + term * term_stride + item, first_term + term, first_item + item
        copy_quad(slabs, at, x, row, stop, column, columns, columns, aligned)

    names = "slabs, first, x, rows, columns, aligned, first_item, first_term, stop"
    lines = ["def copy(slabs, first, x, rows, columns, along_terms, aligned, first_item, first_term, stop):"]
    for keyword, function in (("if along_terms:", "copy_along_terms"), ("else:", "copy_along_items")):
        lines += [f"    {keyword}", *(f"        {function}({names}, {number})" for number in range(quads))]
    return defined("\n".join(lines), copy_along_terms=copy_along_terms, copy_along_items=copy_along_items)
