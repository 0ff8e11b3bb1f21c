"""From a and b to shared memory: slabs of some terms, in which the elements of one term are neighbours whatever the layout was.

An operand is a matrix of items, the rows of a or the columns of b, by terms; in memory either an item's terms are neighbours
(``along_terms``) or a term's items.
"""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, thread
from fastnn_kernels.cuda.matmul.blocking import Tile
from fastnn_kernels.cuda.quads import load4
from fastnn_kernels.cuda.target import kernel, ptx


def packing_of(tile: Tile) -> tuple[Any, Any]:
    """``fetch`` and ``put`` for a tile: a slab's quads from an operand to registers, and from there to shared memory."""
    quads_of_item, quads_of_term, stride = tile.depth // 4, tile.side // 4, tile.stride

    @kernel
    def place(along_terms, number):
        """Item and term in the slab of this thread's first element of quad ``number``."""
        quad = thread() + number * THREADS
        if along_terms:
            return quad // quads_of_item, 4 * (quad % quads_of_item)
        return 4 * (quad % quads_of_term), quad // quads_of_term

    @kernel
    def fetch_quad(x, along_terms, items, terms, first_item, first_term, number):
        item, term = place(along_terms, number)
        item, term = first_item + item, first_term + term
        if along_terms:
            start, stop = item * terms + term, (item + 1) * terms if item < items else 0
        else:
            start, stop = term * items + item, (term + 1) * items if term < terms else 0
        return load4(x, ptx.unsigned(start), stop, x.dtype.type(0))

    @kernel
    def fetch(x, along_terms, items, terms, first_item, first_term):
        """This thread's quads of a slab of a flat operand; 0 past its edges."""
        return (
            fetch_quad(x, along_terms, items, terms, first_item, first_term, 0),
            fetch_quad(x, along_terms, items, terms, first_item, first_term, 1),
        )

    @kernel
    def put_quad(slab, first, along_terms, quad, number):
        item, term = place(along_terms, number)
        at = ptx.unsigned(first + term * stride + item)
        if along_terms:
            slab[at] = quad[0]
            slab[at + ptx.unsigned(stride)] = quad[1]
            slab[at + ptx.unsigned(2 * stride)] = quad[2]
            slab[at + ptx.unsigned(3 * stride)] = quad[3]
        else:
            ptx.store4(slab, at, quad)

    @kernel
    def put(slab, first, along_terms, quads):
        """Write what `fetch` returned to shared memory from ``first`` on."""
        put_quad(slab, first, along_terms, quads[0], 0)
        put_quad(slab, first, along_terms, quads[1], 1)

    return fetch, put
