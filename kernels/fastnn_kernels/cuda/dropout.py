"""Dropout by random numbers of a counter, so that the split of the work changes nothing. Definition: ``reference/dropout.py``."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cuda.block import indices
from fastnn_kernels.cuda.quads import each, load4, quads, store_gradient4
from fastnn_kernels.cuda.target import kernel
from fastnn_kernels.instructions import (
    DRAWS,
    PHILOX_FIRST,
    PHILOX_FIRST_KEY,
    PHILOX_ROUNDS,
    PHILOX_SECOND,
    PHILOX_SECOND_KEY,
    STEP,
)

WORD = 0xFFFFFFFF
LOW, BITS, ONE = np.uint64(WORD), np.uint64(32), np.uint64(1)


@kernel
def philox(c0, c1, c2, c3, k0, k1):
    """Philox4x32-10 of a counter and a key, words held as uint64: a product of two is one wide multiplication."""
    for _ in range(PHILOX_ROUNDS):
        first, second = np.uint64(PHILOX_FIRST) * c0, np.uint64(PHILOX_SECOND) * c2
        c0, c1, c2, c3 = (second >> BITS) ^ c1 ^ k0, second & LOW, (first >> BITS) ^ c3 ^ k1, first & LOW
        k0, k1 = (k0 + np.uint64(PHILOX_FIRST_KEY)) & LOW, (k1 + np.uint64(PHILOX_SECOND_KEY)) & LOW
    return c0, c1, c2, c3


@kernel
def stream_of(seed, call, control):
    """What all numbers of a draw have in common: three words of the counter, two of the key."""
    draw = control[DRAWS] + control[STEP]
    words = (call & WORD, draw & WORD, draw >> 32 & WORD, seed & WORD, seed >> 32 & WORD)
    return (np.uint64(words[0]), np.uint64(words[1]), np.uint64(words[2]), np.uint64(words[3]), np.uint64(words[4]))


@kernel
def draw4(group, stream):
    """The numbers from ``4 * group`` on."""
    call, draw, draws, seed, seeds = stream
    return philox(np.uint64(group & WORD), call, draw, draws, seed, seeds)


@kernel
def draw(number, stream):
    """One number."""
    words, place = draw4(number // 4, stream), number % 4
    low, high = words[1] if place == 1 else words[0], words[3] if place == 3 else words[2]
    return low if place < 2 else high


@kernel
def scaled(x, word, kept, scale):
    return x * scale if word >> ONE < kept else type(x)(0)


scaled_each = each(scaled, 2, 2)


@kernel
def dropout(x, control, out, seed, call, kept, scale, shared_outer, middle, shared_inner, inner, accumulate, worker, workers):
    """Four numbers at a time; one where elements share them, in any order."""
    stream, kept, scale = stream_of(seed, call, control), np.uint64(kept), x.dtype.type(scale)
    if shared_outer * shared_inner == 1:
        for i in quads(0, x.size, worker, workers):
            words = draw4(np.int64(i) // 4, stream)
            store_gradient4(out, i, x.size, scaled_each(load4(x, i, x.size, scale), words, kept, scale), accumulate)
        return
    for i in indices(x.size, worker, workers):
        m = np.int64(i) // (shared_inner * inner)
        number = (m // (shared_outer * middle) * middle + m % middle) * inner + np.int64(i) % inner
        value = scaled(x[i], draw(number, stream), kept, scale)
        out[i] = out[i] + value if accumulate else value
