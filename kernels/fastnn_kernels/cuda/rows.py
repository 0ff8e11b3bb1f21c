"""Kernels over the rows of a matrix: some threads for each row, from one to the whole block, by the row's length alone.

A block works on ``THREADS // lanes`` rows at a time. All of its threads go the same way, those past the last row on a copy of it,
because they meet in every sum over a row.
"""

from __future__ import annotations

from fastnn_kernels.cuda.block import THREADS, WARP, block_max, block_sum, maximum, thread
from fastnn_kernels.cuda.target import kernel, ptx

WIDE = 512
"""A longer row has the whole block: more than four quads for each thread of a warp."""


@kernel
def row_lanes(columns):
    """Threads for a row of ``columns`` elements: a power of two, a quad for each if that is less than a warp."""
    lanes = 1
    while lanes < WARP and 4 * lanes < columns:
        lanes *= 2
    return THREADS if columns > WIDE else lanes


@kernel
def row_starts(rows, lanes, worker, workers):
    """The first of the rows that the block works on together, time after time."""
    together = THREADS // lanes
    return range(worker * together, rows, workers * together)


@kernel
def row_of(first, rows, lanes):
    """This thread's row, whether it is one, and the thread's place in it."""
    m = first + thread() // lanes
    return min(m, rows - 1), m < rows, thread() % lanes


@kernel
def columns_of(m, columns, lane, lanes):
    """Indices in the flat matrix of this thread's elements of row ``m``."""
    return range(ptx.unsigned(m * columns + lane), ptx.unsigned(m * columns + columns), ptx.unsigned(lanes))


@kernel
def quads_of(m, columns, lane, lanes):
    """Indices in the flat matrix of this thread's quads of row ``m``."""
    return range(ptx.unsigned(m * columns + 4 * lane), ptx.unsigned(m * columns + columns), ptx.unsigned(4 * lanes))


@kernel
def row_sum(value, lanes):
    """The sum over the threads of a row, the same in all of them; all threads of the block call."""
    if lanes > WARP:
        return block_sum(value)
    mask = 1
    while mask < lanes:
        value += ptx.shuffle_xor(value, mask)
        mask *= 2
    return value


@kernel
def row_max(value, lanes):
    """The largest value of the threads of a row, NaN if there is one; all threads of the block call."""
    if lanes > WARP:
        return block_max(value)
    mask = 1
    while mask < lanes:
        value = maximum(value, ptx.shuffle_xor(value, mask))
        mask *= 2
    return value
