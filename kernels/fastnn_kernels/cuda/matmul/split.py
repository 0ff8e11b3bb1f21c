"""How blocks share out a product: tiles of out, and the terms of a tile in parts where there are few tiles.

A part's sums go to scratch, and the last block to arrive adds those of all parts in order; so the result is the same bits for any
number of blocks, whichever came last. Bias, activation and accumulation follow, once.
"""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, sync, thread
from fastnn_kernels.cuda.matmul import blocking
from fastnn_kernels.cuda.matmul.blocking import COUNTERS, Bfloat16Tile, TensorTile, Tile, WarpTile
from fastnn_kernels.cuda.matmul.micro_kernel import store_of
from fastnn_kernels.cuda.quads import VECTOR_BYTES, add4
from fastnn_kernels.cuda.target import kernel, ptx

tiles_of, terms_of_part = kernel(blocking.tiles_of), kernel(blocking.terms_of_part)


def product_of(tile: Tile | TensorTile | Bfloat16Tile, sum_terms: Any, repaired: Any) -> Any:
    """``product(a, ..., workers)`` by tiles of one kind.

    ``sum_terms(a, b, shared, transpose_a, transpose_b, precision, first_i, first_j, first, stop)`` leaves in shared memory the sums
    of the terms from ``first`` to ``stop``, one after the other those of each group of threads. ``repaired``: see `store_of`.
    """
    rows, columns, depth, place_of = tile.rows, tile.columns, tile.depth, item_place_of(tile)
    join_groups, join_parts, store = join_groups_of(tile), join_parts_of(tile), store_of(tile, repaired)

    @kernel
    def product(
        a, b, bias, scratch, shared, out, transpose_a, transpose_b, activation, slope, accumulate, precision, worker, workers
    ):
        m, n = out.shape
        terms = a.shape[0] if transpose_a else a.shape[1]
        tiles = tiles_of(m, n, rows, columns)
        part_terms = ptx.int32(terms_of_part(tiles, terms, depth))
        parts = ptx.int32(max(1, (terms + part_terms - 1) // part_terms))
        for item in range(ptx.int32(worker), ptx.int32(tiles * parts), ptx.int32(workers)):
            part, number, first_i, first_j = place_of(item, parts, n)
            first = ptx.int32(part * part_terms)
            terms = a.shape[0] if ptx.again(ptx.int32(transpose_a)) else a.shape[1]
            stop = ptx.int32(min(terms, first + part_terms))
            sum_terms(a, b, shared, transpose_a, transpose_b, precision, first_i, first_j, first, stop)
            sync()
            join_groups(shared)
            part, number, first_i, first_j = place_of(ptx.again(item), parts, n)
            if parts == 1 or join_parts(shared, scratch, number, part, parts):
                store(shared, a, b, out, transpose_a, transpose_b, first_i, first_j, bias, activation, slope, accumulate)
            sync()

    return product


def item_place_of(tile: Tile | TensorTile | Bfloat16Tile) -> Any:
    """``place_of(item, parts, n)`` for a tile: an item's part and tile, and where that begins in out; divided anew each time, as
    what else would be kept during a sum of terms does not fit.
    """
    rows, columns = tile.rows, tile.columns

    @kernel
    def place_of(item, parts, n):
        parts, across = ptx.again(parts), ptx.again(ptx.int32((n + columns - 1) // columns))
        number, part = ptx.int32(item // parts), ptx.int32(item % parts)
        return part, number, ptx.int32(number // across * rows), ptx.int32(number % across * columns)

    return place_of


@kernel
def first_vector(scratch):
    """The first element behind the counters that 128-bit accesses may begin at."""
    size = scratch.itemsize
    beyond = (ptx.again(ptx.int32(ptx.address_of(scratch))) + COUNTERS * size) % VECTOR_BYTES
    return COUNTERS + (VECTOR_BYTES - beyond) // size


def join_groups_of(tile: Tile | WarpTile) -> Any:
    """``join_groups(shared)`` for a tile: the sum of the groups' sums in place of the first group's."""
    elements, groups = tile.rows * tile.columns, tile.groups

    @kernel
    def join_groups(shared):
        if groups == 1:
            return
        for quad in range(4 * thread(), elements, 4 * THREADS):
            total = ptx.load4(shared, ptx.unsigned(quad))
            for group in range(1, groups):
                total = add4(total, ptx.load4(shared, ptx.unsigned(group * elements + quad)))
            ptx.store4(shared, ptx.unsigned(quad), total)
        sync()

    return join_groups


def join_parts_of(tile: Tile | WarpTile) -> Any:
    """``join_parts(shared, scratch, number, part, parts)`` for a tile: whether this block came last, and so has the sum of all
    parts of tile ``number`` in shared memory.
    """
    elements = tile.rows * tile.columns

    @kernel
    def join_parts(shared, scratch, number, part, parts):
        first = ptx.unsigned(number * parts * elements + first_vector(scratch))
        for quad in range(4 * thread(), elements, 4 * THREADS):
            ptx.store4(scratch, first + ptx.unsigned(part * elements + quad), ptx.load4(shared, ptx.unsigned(quad)))
        sync()
        if thread() == 0:
            before = ptx.arrive(ptx.address_of(scratch) + ptx.unsigned(number * scratch.itemsize), parts)
            shared[ptx.unsigned(elements)] = shared.dtype.type(before)
        sync()
        if shared[ptx.unsigned(elements)] != shared.dtype.type(parts - 1):
            return False
        for quad in range(4 * thread(), elements, 4 * THREADS):
            total = ptx.load4(scratch, first + ptx.unsigned(quad))
            for other in range(1, parts):
                total = add4(total, ptx.load4(scratch, first + ptx.unsigned(other * elements + quad)))
            ptx.store4(shared, ptx.unsigned(quad), total)
        sync()
        return True

    return join_parts
