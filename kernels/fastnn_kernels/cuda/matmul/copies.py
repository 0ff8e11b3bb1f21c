"""From a and b to shared memory past the registers, several slabs ahead of the products: `TensorTile.stages` of them lie there.

An operand is a matrix of items, the rows of a or the columns of b, by terms, as in `packing`; here a slab keeps its order, lines of
an item's terms or of a term's items. Elements that do not exist become 0.
"""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, thread
from fastnn_kernels.cuda.matmul.blocking import TensorTile
from fastnn_kernels.cuda.quads import VECTOR_BYTES, defined, is_aligned
from fastnn_kernels.cuda.target import kernel, ptx


@kernel
def is_vector_aligned(x, columns):
    """Whether every line of the matrix ``x`` begins where 128 bits may be copied."""
    return is_aligned(x, ptx.unsigned(0), VECTOR_BYTES) and columns * x.itemsize % VECTOR_BYTES == 0


@kernel
def copy_quad(slabs, at, x, source, there, left, aligned):
    """Four elements of a line that has ``left`` more; aligned lines end with a whole quad."""
    if aligned:
        ptx.copy16_async(slabs, ptx.unsigned(at), x, ptx.unsigned(source), ptx.unsigned(4 if there and left > 0 else 0))
        return
    for place in range(4):
        count = ptx.unsigned(1 if there and place < left else 0)
        ptx.copy4_async(slabs, ptx.unsigned(at + place), x, ptx.unsigned(source + place), count)


def copies_of(tile: TensorTile, items_of_slab: int) -> tuple[Any, Any, Any]:
    """``begin``, ``copy`` and ``advance`` for an operand of a tile: where a thread's first quad lies, slab by slab.

    ``source`` in the matrix, how many ``lines`` and elements ``left`` of its line there are from there on. Its place in a slab is
    computed each time: that takes no register.
    """
    depth, quads_of_item, quads_of_term = tile.depth, tile.depth // 4, items_of_slab // 4

    @kernel
    def begin(rows, columns, along_terms, first_item, first, stop):
        if along_terms:
            item, term = thread() // quads_of_item, thread() % quads_of_item * 4
            source = (first_item + item) * columns + first + term
            return source, ptx.int32(rows - first_item - item), ptx.int32(stop - first - term)
        term, item = thread() // quads_of_term, thread() % quads_of_term * 4
        source = (first + term) * columns + first_item + item
        return source, ptx.int32(stop - first - term), ptx.int32(columns - first_item - item)

    @kernel
    def advance(columns, along_terms, source, lines, left):
        if along_terms:
            return source + depth, lines, ptx.int32(left - depth)
        return source + depth * columns, ptx.int32(lines - depth), left

    return begin, copy_of(tile, items_of_slab), advance


def copy_of(tile: TensorTile, items_of_slab: int) -> Any:
    """``copy(slabs, first, x, ...)`` for an operand of a tile: all quads of a thread to the slab at ``first``."""
    quads_of_item, quads_of_term, quads = tile.depth // 4, items_of_slab // 4, items_of_slab * tile.depth // (4 * THREADS)
    item_stride, term_stride = (tile.stride(items_of_slab, along_terms=along) for along in (True, False))

    @kernel
    def place(along_terms):
        if along_terms:
            return ptx.int32(thread() // quads_of_item * item_stride + thread() % quads_of_item * 4)
        return ptx.int32(thread() // quads_of_term * term_stride + thread() % quads_of_term * 4)

    text = ["def copy(slabs, first, x, columns, along_terms, aligned, source, lines, left):"]
    text += [f"    line = {THREADS // quads_of_item} if along_terms else {THREADS // quads_of_term}"]
    text += ["    first = first + place(along_terms)"]
    text += [f"    step = line * ({item_stride} if along_terms else {term_stride})"]
    for number in range(quads):
        places = f"first + {number} * step, x, source + {number} * line * columns"
        text += [f"    copy_quad(slabs, {places}, lines > {number} * line, left, aligned)"]
    return defined("\n".join(text), copy_quad=copy_quad, place=place)
