"""How long a kernel takes on one core, roughly, and how many workers that is worth: the one rule of engine and functions."""

from __future__ import annotations

BYTES_PER_NS = 8.0
"""Rough speed of a kernel that streams its operands, on one core."""

MULTIPLY_ADD_BYTES_PER_NS = 320.0
"""Rough speed of ``matmul`` on one core: 80 multiply-adds a nanosecond in float32, 40 in float64."""

BARRIER_NS = 1500.0
"""A meeting of the workers, on a machine that does other things as well: 0.2 us when it is quiet, 3 us when it is not."""

LEAST_NS = 20_000.0
"""A worker's part of a step below which one worker fewer is as fast."""

RUN_NS = 100_000.0
"""Work of a whole run below which no second worker is woken; waking takes 10 us right after a run, 50 to 300 us later."""


def streaming_ns(size: float) -> float:
    """Time for a kernel whose operands have ``size`` bytes."""
    return size / BYTES_PER_NS


def matmul_ns(multiply_adds: float, item_bytes: int) -> float:
    """Time for a product of so many multiply-adds of elements of ``item_bytes``."""
    return multiply_adds * item_bytes / MULTIPLY_ADD_BYTES_PER_NS


def workers_for(work_ns: float, meetings: int, most: int) -> int:
    """Workers for ``work_ns`` that can be split: ``most``, but fewer where their part is too little for their meetings."""
    return max(1, min(most, int(work_ns / max(LEAST_NS, BARRIER_NS * meetings))))
