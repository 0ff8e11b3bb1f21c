"""Dropout (Srivastava et al. 2014) by the random numbers of Philox4x32-10 (Salmon, Moraes, Dror & Shaw 2011)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.instructions import (
    DRAWS,
    PHILOX_FIRST,
    PHILOX_FIRST_KEY,
    PHILOX_ROUNDS,
    PHILOX_SECOND,
    PHILOX_SECOND_KEY,
    STEP,
)
from fastnn_kernels.reference.storage import Array, float64, store

Words = NDArray[np.uint64]

WORD, BITS = np.uint64(0xFFFFFFFF), np.uint64(32)


def philox(counter: Words, key: Words) -> Words:
    """Philox4x32-10: four 32-bit words (4, ...) of each counter (4, ...) and the key (2,), all held as uint64."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(PHILOX_ROUNDS):
        first, second = np.uint64(PHILOX_FIRST) * c0, np.uint64(PHILOX_SECOND) * c2
        c0, c1, c2, c3 = (second >> BITS) ^ c1 ^ k0, second & WORD, (first >> BITS) ^ c3 ^ k1, first & WORD
        k0, k1 = (k0 + np.uint64(PHILOX_FIRST_KEY)) & WORD, (k1 + np.uint64(PHILOX_SECOND_KEY)) & WORD
    return np.stack([c0, c1, c2, c3])


def numbers(count: int, seed: int, call: int, draw: int) -> Words:
    """The first ``count`` numbers: number n is word n % 4 of the counter (n // 4, call, draw, draw >> 32)."""
    groups = np.arange(-(-count // 4), dtype=np.uint64)
    counter = [groups & WORD, *(np.full_like(groups, word & 0xFFFFFFFF) for word in (call, draw, draw >> 32))]
    key = np.array([seed & 0xFFFFFFFF, seed >> 32 & 0xFFFFFFFF], np.uint64)
    return philox(np.stack(counter), key).T.reshape(-1)[:count]


def dropout(
    x: Array,
    control: NDArray[np.int64],
    out: Array,
    seed: int,
    call: int,
    kept: int,
    scale: float,
    shared_outer: int,
    middle: int,
    shared_inner: int,
    inner: int,
    accumulate: int,
) -> None:
    """out = scale * x where the upper 31 bits of the element's number are less than ``kept``, else 0."""
    drawn = numbers(x.size // (shared_outer * shared_inner), seed, call, int(control[DRAWS] + control[STEP]))
    is_kept = (drawn >> np.uint64(1) < np.uint64(kept)).reshape(-1, 1, middle, 1, inner)
    value = np.where(is_kept, scale * float64(x).reshape(-1, shared_outer, middle, shared_inner, inner), 0.0)
    store(out, value.reshape(-1), accumulate)
