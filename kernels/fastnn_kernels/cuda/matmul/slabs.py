"""Slabs of bfloat16 operands in shared memory: copied past the registers, read by tensor cores as they lie in memory.

An operand is a matrix of items, the rows of a or the columns of b, by terms. A slab is a box of it in memory: the rows are items if
an item's terms are neighbours (``along_terms``), terms if not, and a row is `CHUNK`s of neighbours. Chunk c of row r is at place
``c ^ swizzle(r)`` of the slab's row, so that the eight rows that are read at a time lie in different banks.
"""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, thread
from fastnn_kernels.cuda.matmul.blocking import BFLOAT16_DEPTH
from fastnn_kernels.cuda.quads import defined
from fastnn_kernels.cuda.target import kernel, ptx

CHUNK = 8
"""Elements that are copied at a time, 16 bytes."""

TERMS = 16
"""Of a product of tiles, by as many items of a or of b."""


def swizzle_of(chunks: int) -> Any:
    """``swizzle(row)`` for slabs whose rows have so many chunks; eight rows below it is the same."""
    rows_of_line, ways = max(1, CHUNK // chunks), min(CHUNK, chunks)

    @kernel
    def swizzle(row):
        return row // rows_of_line % ways

    return swizzle


def copier_of(items: int, along_terms: bool) -> Any:
    """``copy(x, shape, item, term, slabs, first)``: start copying a slab of ``items`` items from there, zeros past the edges."""
    height, width = (items, BFLOAT16_DEPTH) if along_terms else (BFLOAT16_DEPTH, items)
    chunks = width // CHUNK
    lines_at_a_time, swizzle = THREADS // chunks, swizzle_of(chunks)

    @kernel
    def copy_chunk(x, shape, first_row, first_column, slabs, first, number):
        line, chunk = thread() // chunks + number * lines_at_a_time, thread() % chunks
        row, column = first_row + line, first_column + chunk * CHUNK
        inside = row < shape[0] and column < shape[1]
        source = row * shape[1] + column if inside else 0
        target = first + line * width + (chunk ^ swizzle(line)) * CHUNK
        ptx.copy16_async(slabs, ptx.unsigned(target), x, ptx.unsigned(source), ptx.unsigned(CHUNK if inside else 0))

    first_place = "item, term" if along_terms else "term, item"
    calls = [f"    copy_chunk(x, shape, {first_place}, slabs, first, {number})" for number in range(height // lines_at_a_time)]
    return defined("\n".join(["def copy(x, shape, item, term, slabs, first):", *calls]), copy_chunk=copy_chunk)


def place_of(items: int, along_terms: bool, *, rows: bool) -> Any:
    """``place(item, lane)``: where the lane's row of a warp's first matrices begins in a slab; see `ptx.load_matrices`.

    The four matrices are two of eight items by two of eight terms: first go the items if they are ``rows`` of a, else the terms.
    """
    width, upright = BFLOAT16_DEPTH if along_terms else items, rows == along_terms
    swizzle = swizzle_of(width // CHUNK)

    @kernel
    def place(item, lane):
        row = lane % 16 if upright else lane % 8 + lane // 16 * 8
        chunk = lane // 16 if upright else lane // 8 % 2
        if along_terms:
            row += item
        else:
            chunk += item // CHUNK
        return row * width + (chunk ^ swizzle(row)) * CHUNK

    return place


def loader_of(items: int, along_terms: bool, tiles: int, step: int) -> Any:
    """``load(slabs, first, place)``: ``tiles`` pairs of tiles of a slab for its ``step``-th `TERMS`, see `ptx.load_matrices`."""
    width, loads = BFLOAT16_DEPTH if along_terms else items, []
    for tile in range(tiles):
        across, down = (step, tile) if along_terms else (tile, step)
        loads.append(f"load_matrices(slabs, ptx.unsigned(first + (place ^ {2 * CHUNK * across}) + {TERMS * down * width}))")
    load_matrices = ptx.load_matrices if along_terms else ptx.load_matrices_transposed
    return defined(f"def load(slabs, first, place):\n    return {' + '.join(loads)}\n", load_matrices=load_matrices, ptx=ptx)
