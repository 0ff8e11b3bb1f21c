"""How work is split among workers: whole blocks, so that every element is computed the same way for any number of workers."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cpu.options import kernel

ELEMENTS = 4096
"""Elements in a block of a flat array: 16 KiB of float32, a multiple of every vector length."""

ROWS = 16
"""Rows in a block of a matrix: the values of 16 float32 rows fill a cache line."""


@kernel
def span(size, block, worker, workers):
    """``(start, stop)`` of the worker's part of ``size`` items: whole blocks, the last one possibly short."""
    blocks = (size + block - 1) // block
    start = blocks * worker // workers * block
    stop = blocks * (worker + 1) // workers * block
    return min(start, size), min(stop, size)


@kernel
def indices(size, block, worker, workers):
    """`span` as a range. Its indices are unsigned: Numba looks for negative ones in a way that stops vectorisation."""
    start, stop = span(size, block, worker, workers)
    return range(np.uint64(start), np.uint64(stop))
