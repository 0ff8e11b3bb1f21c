"""Dropout by random numbers of a counter, so that the split of the work changes nothing. Definition: ``reference/dropout.py``."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cpu.columns import stack_array
from fastnn_kernels.cpu.floats import select
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.partition import ELEMENTS, span
from fastnn_kernels.instructions import (
    DRAWS,
    PHILOX_FIRST,
    PHILOX_FIRST_KEY,
    PHILOX_ROUNDS,
    PHILOX_SECOND,
    PHILOX_SECOND_KEY,
    STEP,
)

CHUNK = 1024
"""Elements whose factors are drawn together: 4 KiB of float32, which stay in the nearest cache."""

factors_of_chunk = stack_array(CHUNK + 4)
"""One factor an element, from up to three before the chunk's first one: numbers are drawn four at a time."""

WORD, BITS, ONE, FOUR = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(1), np.uint64(4)


@kernel
def philox(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10 of a counter and a key, in uint64: the upper halves may hold anything until the end."""
    for _ in range(PHILOX_ROUNDS):
        first, second = np.uint64(PHILOX_FIRST) * (c0 & WORD), np.uint64(PHILOX_SECOND) * (c2 & WORD)
        c0, c1, c2, c3 = (second >> BITS) ^ c1 ^ k0, second, (first >> BITS) ^ c3 ^ k1, first
        k0, k1 = k0 + np.uint64(PHILOX_FIRST_KEY), k1 + np.uint64(PHILOX_SECOND_KEY)
    return c0 & WORD, c1 & WORD, c2 & WORD, c3 & WORD


@kernel
def draw_factors(factors, group, groups, stream, law):
    """The factors of the numbers from ``4 * group`` on: the scale where one is kept, else 0."""
    seed, call, draw = stream
    kept, scale, zero = law[0], law[1], factors.dtype.type(0)
    for g in range(groups):
        words = philox(group + g, call, draw, draw >> BITS, seed, seed >> BITS)
        i = FOUR * g
        factors[i] = select(words[0] >> ONE < kept, scale, zero)
        factors[i + ONE] = select(words[1] >> ONE < kept, scale, zero)
        factors[i + np.uint64(2)] = select(words[2] >> ONE < kept, scale, zero)
        factors[i + np.uint64(3)] = select(words[3] >> ONE < kept, scale, zero)


@kernel
def scaled(value, factor):
    """0 for a factor of 0, whatever the value."""
    zero = type(value)(0)
    return select(factor != zero, value * factor, zero)


@kernel
def draw_chunk(factors, number, count, stream, law):
    """The factors of up to `CHUNK` numbers from ``number`` on; how many others come before them."""
    skipped = np.uint64(number % 4)
    draw_factors(factors, np.uint64(number // 4), (skipped + np.uint64(count) + np.uint64(3)) // FOUR, stream, law)
    return skipped


@kernel
def drop(x, out, start, stop, number, stream, law, accumulate):
    """out[start:stop], whose numbers are those from ``number`` on."""
    factors = factors_of_chunk(x)
    for first in range(start, stop, CHUNK):
        size = min(CHUNK, stop - first)
        skipped = draw_chunk(factors, number + first - start, size, stream, law)
        for i in range(np.uint64(size)):
            place = np.uint64(first) + i
            value = scaled(x[place], factors[skipped + i])
            out[place] = out[place] + value if accumulate else value


@kernel
def drop_rows(x, out, start, stop, columns, number, stream, law, accumulate):
    """The rows from ``start`` to ``stop``, each of which has one of the numbers from ``number`` on."""
    factors = factors_of_chunk(x)
    for first in range(start, stop, CHUNK):
        size = min(CHUNK, stop - first)
        skipped = draw_chunk(factors, number + first - start, size, stream, law)
        for row in range(np.uint64(size)):
            factor, begin = factors[skipped + row], (np.uint64(first) + row) * np.uint64(columns)
            for place in range(begin, begin + np.uint64(columns)):
                value = scaled(x[place], factor)
                out[place] = out[place] + value if accumulate else value


@kernel
def drop_shared(x, out, shape, stream, law, accumulate, worker, workers):
    """Row by row: a row is ``inner`` elements with numbers of their own, or ``shared_inner`` elements that share one."""
    shared_outer, middle, shared_inner, inner = shape
    columns, repeats = (inner, shared_inner) if inner > 1 else (shared_inner, 1)
    rows = x.size // columns
    row, stop = span(rows, max(1, ELEMENTS // columns), worker, workers)
    while row < stop:
        m = row // repeats
        number = m // (shared_outer * middle) * middle + m % middle
        if inner > 1:
            drop(x, out, row * columns, row * columns + columns, number * inner, stream, law, accumulate)
            row += 1
        else:
            end = min(stop, row - row % middle + middle) if shared_outer > 1 else stop  # until there the numbers are neighbours
            drop_rows(x, out, row, end, columns, number, stream, law, accumulate)
            row = end


@kernel
def dropout(x, control, out, seed, call, kept, scale, shared_outer, middle, shared_inner, inner, accumulate, worker, workers):
    stream = (np.uint64(seed), np.uint64(call), np.uint64(control[DRAWS] + control[STEP]))
    law = (np.uint64(kept), x.dtype.type(scale))
    if shared_outer * shared_inner == 1:
        start, stop = span(x.size, ELEMENTS, worker, workers)
        drop(x, out, start, stop, start, stream, law, accumulate)
    else:
        drop_shared(x, out, (shared_outer, middle, shared_inner, inner), stream, law, accumulate, worker, workers)
