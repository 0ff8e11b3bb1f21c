"""Loops for GPUs, compiled by Numba: what the device can do at most. Imported by workers only.

Sums of threads are no loop of this kind: `read` is left to the libraries.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda

THREADS = 256
"""Of a block."""

EACH = 4
"""Elements of a thread: so many loads wait for memory at once, which it takes to fill the bus."""

CHAINS = 8
"""Independent multiply-adds in flight in a thread: with 2,048 threads a multiprocessor has more than enough."""

ROUNDS = 8
"""Of multiply-adds between two looks at the loop's counter, which cost some 5%: nothing else is issued beside them."""

BLOCKS_PER_MULTIPROCESSOR = 8
"""Of `multiply_add`: as many threads as a multiprocessor holds."""


@cuda.jit
def copy(x, out):
    """out = x"""
    i = cuda.blockIdx.x * THREADS * EACH + cuda.threadIdx.x
    if i + (EACH - 1) * THREADS < len(x):
        a, b, c, d = x[i], x[i + THREADS], x[i + 2 * THREADS], x[i + 3 * THREADS]
        out[i], out[i + THREADS], out[i + 2 * THREADS], out[i + 3 * THREADS] = a, b, c, d
    else:
        for j in range(i, len(x), THREADS):
            out[j] = x[j]


@cuda.jit
def scale(x, out):
    """out = 2 x"""
    two, i = np.float32(2), cuda.blockIdx.x * THREADS * EACH + cuda.threadIdx.x
    if i + (EACH - 1) * THREADS < len(x):
        a, b, c, d = x[i], x[i + THREADS], x[i + 2 * THREADS], x[i + 3 * THREADS]
        out[i], out[i + THREADS], out[i + 2 * THREADS], out[i + 3 * THREADS] = two * a, two * b, two * c, two * d
    else:
        for j in range(i, len(x), THREADS):
            out[j] = two * x[j]


@cuda.jit
def multiply_add(turns, v, out):
    """``turns`` times `ROUNDS` of `CHAINS` multiply-adds in the registers of each thread."""
    a, b, c, d = v, v + v, v * v, v - np.float32(1)
    e, f, g, h = a * d, b * d, c * d, d * d
    for _ in range(turns):
        a = (((((((a * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v
        b = (((((((b * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v
        c = (((((((c * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v
        d = (((((((d * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v
        e = (((((((e * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v
        f = (((((((f * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v
        g = (((((((g * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v
        h = (((((((h * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v) * v + v
    out[cuda.blockIdx.x * THREADS + cuda.threadIdx.x] = a + b + c + d + e + f + g + h


def stream_launch(name: str, x: Any, out: Any) -> Any:
    """A call that launches `copy` or `scale` over arrays of the device."""
    configured = {"copy": copy, "scale": scale}[name][-(-len(x) // (THREADS * EACH)), THREADS]
    return lambda: configured(x, out)


def multiply_add_launch(count: int, multiprocessors: int) -> Any:
    """A call that launches ``count`` multiply-adds, the same number on every thread."""
    blocks = multiprocessors * BLOCKS_PER_MULTIPROCESSOR
    out = cuda.device_array(blocks * THREADS, np.float32)
    configured, turns = multiply_add[blocks, THREADS], np.int32(count // (ROUNDS * CHAINS * blocks * THREADS))
    return lambda: configured(turns, np.float32(0.5), out)
