"""The table of workloads under pytest-benchmark, NumPy as the only peer: ``pytest benchmarks --benchmark-only``.

Less than 5 minutes; ``--benchmark-json FILE`` keeps the numbers. A benchmark fails where fastnn and NumPy do not agree. Every
kernel is called from Python here, which ``python -m benchmarks`` avoids: of a microsecond or two, part is the call.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from benchmarks.peers import all_peers
from benchmarks.results import Measurement, compare_results, figure
from benchmarks.settings import Settings
from benchmarks.worker import compared, task_of
from benchmarks.workloads import WORKLOADS
from fastnn import config
from fastnn.bench.specs import InferSpec, KernelSpec, SweepSpec, TrainSpec, Workload
from fastnn.bench.timing import LEAST_SECONDS, Task, once

SETTINGS = Settings(seconds=0.7, short_seconds=0.1, least=1, most=9)
PEERS = {name: peer for name, peer in all_peers().items() if name in ("numpy", "fastnn")}
ROWS = [
    (row, name)
    for row in WORKLOADS
    if isinstance(row.spec, TrainSpec | SweepSpec | InferSpec | KernelSpec) and row.id not in ("forms", "neighbour", "growth")
    for name in sorted(PEERS, reverse=True)
    if row.peers is None or name in row.peers
]

_computed: dict[str, Measurement] = {}
"""NumPy's results, by workload."""


@pytest.mark.parametrize(("row", "name"), ROWS, ids=[f"{row.key}-{name}" for row, name in ROWS])
def test_workload(benchmark: Any, row: Workload, name: str) -> None:
    threads = config.num_threads()
    task, units, _ = task_of(PEERS[name], row, SETTINGS.seed, threads)
    if task is None:
        pytest.skip(f"{name} has no call for it")
    result, seconds = _first(task)
    measurement = Measurement(row.key, name, threads, "ok", result=result, units=units)
    if name == "numpy":
        _computed[row.key] = measurement
    elif row.key in _computed:
        assert all(each.agrees is not False for each in compare_results([measurement, _computed[row.key]], []))
    calls = max(1, int(LEAST_SECONDS / seconds)) if task.reset is None else 1
    benchmark.group = f"{row.key}: {row.title}"
    rounds = SETTINGS.samples(row, seconds * calls)
    benchmark.pedantic(task.run, setup=task.reset, rounds=rounds, iterations=calls)
    if benchmark.enabled:
        measurement.wall.append(benchmark.stats.stats.median)
        benchmark.extra_info["figure"] = figure(measurement)


def _first(task: Task) -> tuple[list[float] | None, float]:
    """The result of the first call, and about how long a later one takes."""
    if task.reset is not None:
        task.reset()
    start = time.perf_counter()
    result = compared(task.run())
    seconds = time.perf_counter() - start
    return result, seconds if seconds > 1 else once(task).wall
