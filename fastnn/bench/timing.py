"""The timing core: what is timed, and the statistics of the times."""

from __future__ import annotations

import gc
import math
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass
class Task:
    """Work that is ready to be timed.

    ``run()`` does it and returns the result that is compared with the other libraries' (a loss, or an array); ``reset()``, which
    is not timed, goes back to the state before. Without ``reset`` it may be run many times in a row; ``many(n)``, where a library
    has such a call, does that without Python in between. ``counted()`` is the part, from 0 to 1, of the last run's time that
    counts, where not all of it does.
    """

    run: Callable[[], Any]
    reset: Callable[[], None] | None = None
    many: Callable[[int], None] | None = None
    counted: Callable[[], float] | None = None


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
    part = 1.0 if task.counted is None else task.counted()
    return Sample(part * wall / calls / 1e9, part * cpu / calls / 1e9)


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


def take_turns(tasks: Mapping[str, Task], samples: int) -> dict[str, list[Sample]]:
    """Samples of several tasks, one of each in turn, so that whatever the machine does meanwhile hits all alike."""
    calls = {name: calls_per_sample(task) for name, task in tasks.items()}
    found: dict[str, list[Sample]] = {name: [] for name in tasks}
    for _ in range(samples):
        for name, task in tasks.items():
            found[name].append(once(task, calls[name]))
    return found


def process(command: Sequence[str], variables: Mapping[str, str], text: str = "") -> tuple[Sample, str]:
    """Run a process to its end: its time from outside, and its output.

    Raises
    ------
    RuntimeError
        With the last line of its errors, where it fails.
    """
    before, start = os.times(), time.perf_counter()
    done = subprocess.run(command, input=text, capture_output=True, text=True, env=dict(variables))
    wall, after = time.perf_counter() - start, os.times()
    if done.returncode != 0:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1][:300])
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Sample(wall, cpu), done.stdout


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


def duration(seconds: float) -> str:
    """Three digits and a unit.

    >>> duration(1.23e-7), duration(0.0000123), duration(1.234), duration(123.4)
    ('123 ns', '12.3 us', '1.23 s', '123 s')
    """
    for factor, unit in ((1, "s"), (1e3, "ms"), (1e6, "us"), (1e9, "ns")):
        if seconds * factor >= 1 or unit == "ns":
            value = seconds * factor
            return f"{value:.0f} {unit}" if value >= 99.95 else f"{value:#.3g} {unit}"
    raise AssertionError
