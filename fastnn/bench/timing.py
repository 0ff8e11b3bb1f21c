"""The timing core: what is timed, and the statistics of the times."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Task:
    """Work that is ready to be timed.

    ``run()`` does it and returns the result that is compared with the other libraries' (a loss, or an array); ``reset()``, which
    is not timed, goes back to the state before. Without ``reset`` it may be run many times in a row; ``many(n)``, where a library
    has such a call, does that without Python in between.
    """

    run: Callable[[], Any]
    reset: Callable[[], None] | None = None
    many: Callable[[int], None] | None = None


@dataclass(frozen=True)
class Sample:
    """One timing: seconds of wall time and of the process's CPU time a call."""

    wall: float
    cpu: float


LEAST_SECONDS = 0.02
"""A sample of a task that can be repeated lasts at least so long: the clock's own cost vanishes."""

MOST_CALLS = 1_000_000


def once(task: Task, calls: int = 1) -> Sample:
    """Time ``calls`` calls in a row; the collector of garbage waits."""
    if task.reset is not None:
        task.reset()
    many = task.many or _loop(task.run)
    gc.collect()
    gc.disable()
    try:
        cpu, wall = time.process_time_ns(), time.perf_counter_ns()
        many(calls)
        wall, cpu = time.perf_counter_ns() - wall, time.process_time_ns() - cpu
    finally:
        gc.enable()
    return Sample(wall / calls / 1e9, cpu / calls / 1e9)


def _loop(run: Callable[[], Any]) -> Callable[[int], None]:
    def many(calls: int) -> None:
        for _ in range(calls):
            run()

    return many


def calls_per_sample(task: Task) -> int:
    """Calls that fill `LEAST_SECONDS`; 1 for a task with a ``reset``."""
    if task.reset is not None:
        return 1
    once(task)
    calls = 1
    while calls < MOST_CALLS:
        seconds = once(task, calls).wall * calls
        if seconds >= LEAST_SECONDS / 2:
            return max(1, math.ceil(calls * LEAST_SECONDS / seconds))
        calls *= 4
    return calls


@dataclass(frozen=True)
class Statistics:
    """Of one peer's samples of one workload: median and quartiles."""

    median: float
    low: float
    high: float
    count: int

    @property
    def spread(self) -> float:
        """Half the distance of the quartiles, relative to the median."""
        return (self.high - self.low) / 2 / self.median if self.median else 0.0


def summarize(values: Sequence[float]) -> Statistics:
    """Median and quartiles; of fewer than four values, the smallest and the largest stand for the quartiles.

    >>> summarize([1.0, 2.0, 3.0, 4.0, 10.0])
    Statistics(median=3.0, low=2.0, high=4.0, count=5)
    """
    if not values:
        raise ValueError("values is empty: there is nothing to summarize")
    if len(values) < 4:
        return Statistics(statistics.median(values), min(values), max(values), len(values))
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Statistics(median, low, high, len(values))
