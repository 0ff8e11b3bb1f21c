"""From a and b to shared memory: slabs of some terms, in which the elements of one term are neighbours whatever the layout was.

An operand is a matrix of items, the rows of a or the columns of b, by terms; in memory either an item's terms are neighbours
(``along_terms``) or a term's items. In a slab, item i of term t is element ``i ^ flip(t)`` of row t, which ends in some padding:
what is written, or read by tensor cores, at the same time lies in different banks.
"""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, thread
from fastnn_kernels.cuda.matmul.blocking import BANKS, Tile
from fastnn_kernels.cuda.quads import defined, load4
from fastnn_kernels.cuda.target import kernel, ptx


def flip_of(tile: Tile) -> Any:
    """`Tile.flip` as a kernel."""
    terms, ways = BANKS // tile.padding, tile.padding // 2

    @kernel
    def flip(term):
        return term // terms % ways * 8

    return flip


def packing_of(tile: Tile, items_of_slab: int) -> tuple[Any, Any]:
    """``fetch`` and ``put`` for one operand of a tile: its slabs from memory to registers, and from there to shared memory."""
    quads, place = items_of_slab * tile.depth // (4 * THREADS), quad_place_of(tile, items_of_slab)
    names = {"fetch_quad": quad_fetch_of(place), "put_quad": quad_put_of(tile, items_of_slab, place)}
    calls = [f"fetch_quad(x, rows, columns, along_terms, first_item, first_term, {number})" for number in range(quads)]
    lines = ["def fetch(x, rows, columns, along_terms, first_item, first_term):", f"    return ({', '.join(calls)},)"]
    fetch = defined("\n".join(lines), **names)
    lines = [f"    put_quad(slab, first, along_terms, quads[{number}], {number})" for number in range(quads)]
    return fetch, defined("\n".join(["def put(slab, first, along_terms, quads):", *lines]), **names)


def quad_place_of(tile: Tile, items_of_slab: int) -> Any:
    """``place(along_terms, number)``: item and term in the slab of this thread's quad: up to four neighbours of the same item, or
    all of a term.
    """
    quads_of_term, neighbours = items_of_slab // 4, min(4, tile.depth // 4)

    @kernel
    def place(along_terms, number):
        quad = thread() + number * THREADS
        if along_terms:
            rest = quad // neighbours
            return rest % items_of_slab, 4 * (rest // items_of_slab * neighbours + quad % neighbours)
        return 4 * (quad % quads_of_term), quad // quads_of_term

    return place


def quad_fetch_of(place: Any) -> Any:
    """``fetch_quad(x, ..., number)``: four elements from memory, 0 where there are none."""

    @kernel
    def fetch_quad(x, rows, columns, along_terms, first_item, first_term, number):
        item, term = place(along_terms, number)
        row, column = first_term + term, first_item + item
        if along_terms:
            row, column = first_item + item, first_term + term
        start = row * columns
        return ptx.widened(load4(x, start + column, start + columns if row < rows else 0, x.dtype.type(0)))

    return fetch_quad


def quad_put_of(tile: Tile, items_of_slab: int, place: Any) -> Any:
    """``put_quad(slab, first, along_terms, quad, number)``: four elements to where they lie in a slab."""
    stride, flip = items_of_slab + tile.padding, flip_of(tile)

    @kernel
    def put_quad(slab, first, along_terms, quad, number):
        item, term = place(along_terms, number)
        at = ptx.unsigned(first + term * stride + (item ^ flip(term)))
        if along_terms:
            slab[at] = quad[0]
            slab[at + ptx.unsigned(stride)] = quad[1]
            slab[at + ptx.unsigned(2 * stride)] = quad[2]
            slab[at + ptx.unsigned(3 * stride)] = quad[3]
        else:
            ptx.store4(slab, at, quad)

    return put_quad
