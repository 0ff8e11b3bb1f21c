"""Batches: which rows of the caller's arrays a step works on. Rows are bytes, so one kernel serves every dtype."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.partition import ELEMENTS, span
from fastnn_kernels.instructions import NEXT_POSITION, POSITION, SPLITMIX_FIRST, SPLITMIX_SECOND, SPLITMIX_STEP, STEP

SHORT_ROW = 64
"""Bytes; shorter rows are copied word by word, which is quicker than a call of ``memcpy``."""


def _data(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Pointer to byte ``offset`` of a uint8 array."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [offset])


@intrinsic
def copy_bytes(typingctx: Any, out: Any, out_start: Any, data: Any, data_start: Any, size: Any) -> Any:
    """``out[out_start : out_start + size] = data[data_start : data_start + size]`` of flat bytes, by ``memcpy``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        out, out_start, data, data_start, size = args
        target = _data(context, builder, signature.args[0], out, out_start)
        source = _data(context, builder, signature.args[2], data, data_start)
        cgutils.raw_memcpy(builder, target, source, size, 1)
        return context.get_dummy_value()

    return types.void(out, types.int64, data, types.int64, types.int64), codegen


def _word_copier(bits: int) -> Any:
    @intrinsic
    def copy_word(typingctx: Any, out: Any, out_start: Any, data: Any, data_start: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            out, out_start, data, data_start = args
            word = ir.IntType(bits).as_pointer()
            target = builder.bitcast(_data(context, builder, signature.args[0], out, out_start), word)
            source = builder.bitcast(_data(context, builder, signature.args[2], data, data_start), word)
            builder.store(builder.load(source, align=1), target, align=1)
            return context.get_dummy_value()

        return types.void(out, types.int64, data, types.int64), codegen

    return copy_word


copy_8_bytes = _word_copier(64)
copy_4_bytes = _word_copier(32)
copy_byte = _word_copier(8)


@kernel
def copy_row(out, out_start, data, data_start, size):
    """Copy ``size`` bytes: short rows by words, long ones by ``memcpy``."""
    if size >= SHORT_ROW:
        copy_bytes(out, out_start, data, data_start, size)
        return
    done = 0
    while done + 8 <= size:
        copy_8_bytes(out, out_start + done, data, data_start + done)
        done += 8
    if done + 4 <= size:
        copy_4_bytes(out, out_start + done, data, data_start + done)
        done += 4
    while done < size:
        copy_byte(out, out_start + done, data, data_start + done)
        done += 1


@kernel
def uniform(z):
    """The number that SplitMix64 makes of the state ``z``, as a multiple of 2**-53 in [0, 1)."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(SPLITMIX_FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SPLITMIX_SECOND)
    z ^= z >> np.uint64(31)
    return np.int64(z >> np.uint64(11)) * 2.0**-53


@kernel
def shuffle(control, index, state, worker, workers):
    if control[STEP] >= 0 or state.size == 0:
        return
    z = np.uint64(state[0])
    for left in range(index.size - 1):
        i = np.uint64(index.size - 1 - left)
        z += np.uint64(SPLITMIX_STEP)
        j = np.uint64(np.int64(uniform(z) * np.int64(i + np.uint64(1))))
        index[i], index[j] = index[j], index[i]
    state[0] = np.int64(z)


@kernel
def next_batch(control, batch, worker, workers):
    control[STEP] += 1
    control[POSITION] = control[NEXT_POSITION]
    control[NEXT_POSITION] += batch


@kernel
def rows_of(rows, size, worker, workers):
    """``(start, stop)`` of the worker's part of ``rows`` rows of ``size`` bytes."""
    return span(rows, max(1, ELEMENTS // max(size, 1)), worker, workers)


@kernel
def take_rows(data, index, control, out, worker, workers):
    size = out.shape[1]
    start, stop = rows_of(out.shape[0], size, worker, workers)
    position = control[POSITION]
    if index.size == 0:
        copy_bytes(out, start * size, data, (position + start) * size, (stop - start) * size)
        return
    for b in range(start, stop):
        copy_row(out, b * size, data, index[position + b] * size, size)


@kernel
def put_rows(x, control, data, worker, workers):
    size = x.shape[1]
    start, stop = rows_of(x.shape[0], size, worker, workers)
    copy_bytes(data, (control[POSITION] + start) * size, x, start * size, (stop - start) * size)
