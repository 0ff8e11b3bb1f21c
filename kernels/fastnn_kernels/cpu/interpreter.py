"""The interpreter: every worker runs the same rows; one indirect call a row.

``barrier`` is the address of `BARRIER_WORDS` words. Worker 0 leaves them ready for the next run.
"""

from __future__ import annotations

from fastnn_kernels.cpu.intrinsics import (
    atomic_add,
    atomic_load,
    call_row,
    call_yield,
    flush_subnormals,
    load_int,
    restore_float_state,
    store_int,
)
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.instructions import (
    BARRIER_BEGAN,
    BARRIER_STOP,
    FLAG_BARRIER,
    FLAG_STATUS,
    NEVER,
    ROW_FLAGS,
    ROW_WORDS,
)

BEGAN, STOP = 8 * BARRIER_BEGAN, 8 * BARRIER_STOP
"""Bytes from the barrier's start to its words."""

ROW_BYTES = 8 * ROW_WORDS
FLAGS = 8 * ROW_FLAGS


@kernel
def meet(barrier, target, yield_address, spins):
    """Arrive, then wait until ``target`` arrivals were counted: spin ``spins`` times, then let other threads run."""
    atomic_add(barrier, 1)
    turns = 0
    while atomic_load(barrier) < target:
        turns += 1
        if turns > spins and yield_address != 0:
            call_yield(yield_address)
            turns = 0


@kernel
def stops(status, barrier, target, yield_address, spins, position, worker, workers):
    """Whether the run ends at ``position``. Worker 0, which alone runs the rows that set a status, decides for all."""
    if workers == 1:
        return load_int(status) != 0
    if worker == 0 and load_int(status) != 0:
        store_int(barrier + STOP, position)
    meet(barrier, target, yield_address, spins)
    return load_int(barrier + STOP) == position


@kernel
def run(table, rows, first_row, steps, status, barrier, yield_address, spins, worker, workers):
    """Run ``steps`` steps, the first from ``first_row`` (``rows``: none of it is left).

    Returns ``step * rows + row`` of the row that stopped the run, or ``steps * rows``.
    """
    state = flush_subnormals()
    target = load_int(barrier + BEGAN) if workers > 1 else 0
    position = first_row
    end = steps * rows
    row = first_row if first_row < rows else 0
    while position < end:
        words = table + row * ROW_BYTES
        flags = load_int(words + FLAGS)
        if flags & FLAG_BARRIER and workers > 1:
            target += workers
            meet(barrier, target, yield_address, spins)
        call_row(load_int(words), words, worker, workers)
        if flags & FLAG_STATUS:
            target += workers
            if stops(status, barrier, target, yield_address, spins, position, worker, workers):
                break
        position += 1
        row += 1
        if row == rows:
            row = 0
    if workers > 1:
        target += workers
        meet(barrier, target, yield_address, spins)
        if worker == 0:
            store_int(barrier + BEGAN, target)
            store_int(barrier + STOP, NEVER)
    restore_float_state(state)
    return position
