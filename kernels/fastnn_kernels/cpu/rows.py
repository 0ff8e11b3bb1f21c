"""Softmax of rows of more than `NARROW` elements: each is read from memory once, and its exponential computed once.

A row is worked on in *parts* that fit the nearest cache, `LANES` elements at a time. A part's exponentials are shifted by its own
largest element, so they are written in the same pass over memory; what they are to be multiplied by is known at the row's end.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastnn_kernels.cpu.columns import LANES, lanes, stack_array
from fastnn_kernels.cpu.floats import larger, select
from fastnn_kernels.cpu.matmul.vectors import I32, element_pointer
from fastnn_kernels.cpu.options import kernel, ordered_kernel
from fastnn_kernels.cpu.vector_math import exp_below_0

PART, MOST_PARTS = 1024, 128
"""Elements of a part: 4 KiB of float32; the parts of a longer row than `MOST_PARTS` have more."""

BLOCK = np.uint64(256)
"""Elements whose exponentials are computed in one loop; before it those are asked for that lie `AHEAD`."""

AHEAD = np.uint64(1536)
"""How far ahead elements are asked for: the processor by itself stops fetching where a part is read a second time."""

NOTHING, EXP, SHIFTED = range(3)
"""What `exp_row` writes."""

LINE, STEP, WHOLE = np.uint64(16), np.uint64(LANES), np.uint64(64)
"""Elements of one, two and four vectors of 64 bytes; unsigned, so that sums of indices are."""

per_part = stack_array(MOST_PARTS)
"""An uninitialised array on the caller's stack: one element a part."""


@intrinsic
def prefetch(typingctx: Any, x: Any, i: Any) -> Any:
    """Ask for the cache line of the flat array's element i, which need not exist."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        function_type = ir.FunctionType(ir.VoidType(), [byte, I32, I32, I32])
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
        place = element_pointer(context, builder, signature.args[0], *args)
        builder.call(function, [builder.bitcast(place, byte), I32(0), I32(3), I32(1)])
        return context.get_dummy_value()

    return types.void(x, types.uint64), codegen


@kernel
def parts_of(columns):
    """Number of parts of a row."""
    return min(MOST_PARTS, (columns + PART - 1) // PART)


@kernel
def part_of(row, columns, parts, p):
    """Where part ``p`` of the row that begins with element ``row`` begins and ends."""
    return row + np.uint64(columns * p // parts), row + np.uint64(columns * (p + 1) // parts)


@kernel
def largest_of(x, start, stop):
    """The largest of x[start:stop] and the lowest finite number; anything where one is NaN.

    What is left over of whole vectors is looked at together with elements before it.
    """
    largest, rest = x.dtype.type(np.finfo(x.dtype).min), (stop - start) % WHOLE
    for i in range(start, stop - rest):
        largest = larger(largest, x[i])
    if rest:
        for i in range(stop - min(WHOLE, stop - start), stop):
            largest = larger(largest, x[i])
    return largest


@kernel
def exp_part(x, out, start, stop, shift, writes):
    """Sum of exp(x - shift) over x[start:stop]; ``writes`` to the same place in out. x - shift is nowhere above 0."""
    done, total = stop - (stop - start) % WHOLE, x.dtype.type(0)
    for block in range(start, done, BLOCK):
        end = min(block + BLOCK, done)
        for i in range(block, end, LINE):
            prefetch(x, i + AHEAD)
        total += exp_block(x, out, block, end, shift, writes)
    while done < stop:
        first = min(done, stop - STEP)
        total += exp_step(x, out, first, done - first, shift, writes)
        done = first + STEP
    return total


@kernel
def exp_block(x, out, start, stop, shift, writes):
    """`exp_part` of a multiple of `WHOLE` elements."""
    total = x.dtype.type(0)
    if writes == EXP:
        for i in range(start, stop):
            e = exp_below_0(x[i] - shift)
            out[i] = e
            total += e
    elif writes == SHIFTED:
        for i in range(start, stop):
            shifted = x[i] - shift
            out[i] = shifted
            total += exp_below_0(shifted)
    else:
        for i in range(start, stop):
            total += exp_below_0(x[i] - shift)
    return total


@kernel
def exp_step(x, out, first, again, shift, writes):
    """`exp_part` of `STEP` elements, of which the first ``again`` are written again and not added."""
    e, shifted, total = lanes(x), lanes(x), x.dtype.type(0)
    for i in range(STEP):
        shifted[i] = x[first + i] - shift
        e[i] = exp_below_0(shifted[i])
        total += select(i < again, x.dtype.type(0), e[i])
    if writes != NOTHING:
        for i in range(STEP):
            out[first + i] = e[i] if writes == EXP else shifted[i]
    return total


@kernel
def largest_ahead(x, m, stop, columns):
    """What `exp_row` is to be told of row m, found while the row before it is being finished; 0 where m is no row."""
    if m >= stop:
        return x.dtype.type(0)
    row = np.uint64(m * columns)
    return largest_of(x, row, part_of(row, columns, parts_of(columns), 0)[1])


@kernel
def exp_row(x, out, row, columns, largest, scales, writes):
    """The row's largest element, the shift, and the sum of exp(x - shift); NaN makes the sum NaN. ``largest``: of the first part.

    ``writes`` EXP: exp(x - shift) is part p of out times scales[p]. SHIFTED: x - shift is part p of out plus scales[p].
    """
    parts, sums, zero = parts_of(columns), per_part(x), x.dtype.type(0)
    for p in range(parts):
        start, stop = part_of(row, columns, parts, p)
        scales[p] = largest_of(x, start, stop) if p > 0 else largest
        sums[p] = exp_part(x, out, start, stop, scales[p], writes)
    shift, total = scales[0], zero
    if parts == 1:
        scales[0] = x.dtype.type(writes == EXP)
        return shift, sums[0]
    for p in range(1, parts):
        shift = larger(shift, scales[p])
    for p in range(parts):
        scales[p] -= shift
        scale = exp_below_0(scales[p])
        total += sums[p] * scale
        scales[p] = scale if writes == EXP else scales[p]
    return shift, total


@kernel
def scale_row(out, row, columns, scales, factor):
    """Finish what `exp_row` wrote: factor * exp(x - shift)."""
    parts = parts_of(columns)
    for p in range(parts):
        start, stop = part_of(row, columns, parts, p)
        scale = factor * scales[p]
        for i in range(start, stop):
            out[i] *= scale


@ordered_kernel
def quotient(x, y):
    """x / y; reordered, every product with it might become a division."""
    return x / y
