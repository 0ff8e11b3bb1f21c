"""What kernels share: the threads of their block, sums and maxima over it, how work is split."""

from __future__ import annotations

from fastnn_kernels.cuda.target import kernel, ptx

THREADS = ptx.THREADS
"""Threads of a block, a multiple of `WARP`."""

WARP = ptx.WARP
WARPS = THREADS // WARP

thread = ptx.thread
sync = ptx.sync


@kernel
def maximum(a, b):
    """The larger of both; NaN if there is one."""
    return a if a >= b or a != a else b


@kernel
def warp_sum(value):
    """The sum over a warp, the same in all its threads: numbers whose indices differ in one bit are added first."""
    mask = 1
    while mask < WARP:
        value += ptx.shuffle_xor(value, mask)
        mask *= 2
    return value


@kernel
def warp_max(value):
    """The largest value of a warp, in all its threads."""
    mask = 1
    while mask < WARP:
        value = maximum(value, ptx.shuffle_xor(value, mask))
        mask *= 2
    return value


@kernel
def block_sum(value):
    """The sum over the block, in all its threads; all of them call, and a barrier lies behind."""
    value = warp_sum(value)
    if WARPS == 1:
        return value
    sums = ptx.shared_array(ptx.dtype_of(value), WARPS)
    sync()
    sums[thread() // WARP] = value
    sync()
    total = sums[0]
    for warp in range(1, WARPS):
        total += sums[warp]
    return total


@kernel
def block_max(value):
    """The largest value of the block, NaN if there is one, in all its threads; all of them call."""
    value = warp_max(value)
    if WARPS == 1:
        return value
    largest = ptx.shared_array(ptx.dtype_of(value), WARPS)
    sync()
    largest[thread() // WARP] = value
    sync()
    result = largest[0]
    for warp in range(1, WARPS):
        result = maximum(result, largest[warp])
    return result


@kernel
def indices(size, worker, workers):
    """This thread's part of ``size`` elements: neighbouring threads have neighbouring elements, blocks take turns."""
    return range(ptx.unsigned(worker * THREADS + thread()), ptx.unsigned(size), ptx.unsigned(workers * THREADS))
