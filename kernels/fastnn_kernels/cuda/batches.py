"""Batches: which rows of the caller's arrays a step works on. Rows are bytes, so one kernel serves every dtype."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cuda.block import THREADS, block_max, sync, thread
from fastnn_kernels.cuda.quads import flat, is_aligned, load4, store4, words
from fastnn_kernels.cuda.rows import columns_of, quads_of, row_lanes, row_of, row_starts
from fastnn_kernels.cuda.target import kernel, ptx
from fastnn_kernels.instructions import NEXT_POSITION, POSITION, SPLITMIX_FIRST, SPLITMIX_SECOND, SPLITMIX_STEP, STEP

WORD_BYTES = 4


@kernel
def uniform(z):
    """The number that SplitMix64 makes of the state ``z``, as a multiple of 2**-53 in [0, 1)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(SPLITMIX_FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SPLITMIX_SECOND)
    z ^= z >> np.uint64(31)
    return np.int64(z >> np.uint64(11)) * 2.0**-53


@kernel
def shuffle(control, index, state, worker, workers):
    """THREADS swaps at a time, one a thread, each as soon as no earlier one that still waits touches the same places.

    Most are made in the first round: see Shun, Gu, Blelloch, Fineman and Gibbons 2015, "Sequential random permutation, list
    contraction and tree contraction are highly parallel".
    """
    if control[STEP] >= 0 or index.size == 0 or state.size == 0:
        return
    others = ptx.shared_array(np.int64, THREADS)
    z, me = np.uint64(state[0]), np.int64(thread())
    for last in range(index.size - 1, 0, -THREADS):
        i = last - me
        number = z + np.uint64(index.size - i) * np.uint64(SPLITMIX_STEP)
        j = np.int64(uniform(number) * (i + 1))
        waits = bool(i > 0)
        while block_max(1 if waits else 0) > 0:
            others[me] = j if waits else -1
            sync()
            if waits and is_free(others, me, i, j):
                index[i], index[j] = index[j], index[i]
                waits = False
            sync()
    if thread() == 0:
        state[0] = np.int64(z + np.uint64(index.size - 1) * np.uint64(SPLITMIX_STEP))


@kernel
def is_free(others, me, i, j):
    """Whether no thread before ``me`` waits to swap with i or j; the other place of its swap is larger than both."""
    for earlier in range(me):  # noqa: SIM110 (Numba compiles no generator)
        if others[earlier] == i or others[earlier] == j:
            return False
    return True


@kernel
def next_batch(control, batch, worker, workers):
    if thread() == 0:
        control[STEP] += 1
        control[POSITION] = control[NEXT_POSITION]
        control[NEXT_POSITION] += batch


@kernel
def copy_row(source, source_row, target, target_row, size, lane, lanes):
    """Copy a row of ``size`` bytes by these lanes: by quads of words where rows are aligned to words, else by bytes."""
    if (
        size % WORD_BYTES == 0
        and is_aligned(source, ptx.unsigned(0), WORD_BYTES)
        and is_aligned(target, ptx.unsigned(0), WORD_BYTES)
    ):
        length, zero = size // WORD_BYTES, np.uint32(0)
        source_words, target_words = words(source), words(target)
        offset = ptx.unsigned((source_row - target_row) * length)
        for i in quads_of(target_row, length, lane, lanes):
            values = load4(source_words, i + offset, source_row * length + length, zero)
            store4(target_words, i, target_row * length + length, values)
    else:
        offset = ptx.unsigned((source_row - target_row) * size)
        source_bytes, target_bytes = flat(source), flat(target)
        for i in columns_of(target_row, size, lane, lanes):
            target_bytes[i] = source_bytes[i + offset]


@kernel
def take_rows(data, index, control, out, worker, workers):
    rows, size = out.shape
    position = control[POSITION]
    lanes = row_lanes(size // WORD_BYTES)
    for first in row_starts(rows, lanes, worker, workers):
        b, mine, lane = row_of(first, rows, lanes)
        row = index[position + b] if index.size != 0 else position + b
        if mine:
            copy_row(data, row, out, b, size, lane, lanes)


@kernel
def put_rows(x, control, data, worker, workers):
    rows, size = x.shape
    position = control[POSITION]
    lanes = row_lanes(size // WORD_BYTES)
    for first in row_starts(rows, lanes, worker, workers):
        b, mine, lane = row_of(first, rows, lanes)
        if mine:
            copy_row(x, b, data, position + b, size, lane, lanes)
