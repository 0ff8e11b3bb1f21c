"""The runner: workers prepare, then take turns, one sample each, so that whatever the machine does meanwhile hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks import alone, machine
from benchmarks.peers import Peer
from benchmarks.processes import Worker, busy_neighbour
from benchmarks.results import Measurement, Results, compare_results, measurement_of
from benchmarks.settings import Settings
from fastnn.bench.machine import describe
from fastnn.bench.specs import MemorySpec, ProcessSpec, QualitySpec, Workload

Progress = Callable[[str], None]


def run(workloads: Sequence[Workload], peers: Sequence[Peer], threads: Sequence[int], settings: Settings, say: Progress) -> Results:
    """Run everything; what cannot run here is a measurement that says why."""
    most = max(threads)
    found: list[Measurement] = []
    for count in sorted(set(threads)):
        rows = [row for row in workloads if count == most or not row.all_threads]
        found += _run_with(rows, peers, count, settings, say)
    return Results(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=describe(),
        settings={**vars(settings), "threads": sorted(set(threads))},
        peers={peer.name: {"group": peer.group, "version": machine.version(peer), "note": peer.note} for peer in peers},
        measurements=found,
    )


def _run_with(
    rows: Sequence[Workload], peers: Sequence[Peer], threads: int, settings: Settings, say: Progress
) -> list[Measurement]:
    missing = {peer.name: why for peer in peers if (why := peer.missing()) is not None}
    workers = {peer.name: Worker(peer, threads) for peer in peers if peer.name not in missing}
    found: list[Measurement] = []
    try:
        for number, row in enumerate(rows, start=1):
            start = time.monotonic()
            chosen = [peer.name for peer in peers if row.peers is None or peer.name in row.peers]
            measured = _run_row(row, [workers[name] for name in chosen if name in workers], settings)
            found += measured
            found += [Measurement(row.key, name, threads, "missing", missing[name]) for name in chosen if name in missing]
            title = f"{threads} thread{'s' * (threads > 1)}  {number:3}/{len(rows)}  {row.key}"
            say(f"{title:55} {time.monotonic() - start:6.1f} s  {_line(measured)}")
    finally:
        for worker in workers.values():
            worker.stop()
    return found


def _run_row(row: Workload, workers: Sequence[Worker], settings: Settings) -> list[Measurement]:
    with busy_neighbour(row.neighbour):
        if isinstance(row.spec, ProcessSpec | MemorySpec | QualitySpec):
            measured = alone.run(row, [worker.peer for worker in workers], workers[0].threads, settings) if workers else []
        else:
            measured = _interleaved(row, workers, settings)
    return compare_results(measured, [worker.peer.name for worker in workers if worker.peer.own_order])


def _line(measured: Sequence[Measurement]) -> str:
    """The fastest, and how far the next ones are behind."""
    done = sorted((m for m in measured if m.status == "ok"), key=lambda m: m.value)
    if not done:
        return "nobody could run it"
    least = done[0].value or 1.0
    return ", ".join([f"{done[0].peer} 1"] + [f"{m.peer} {m.value / least:.2f}" for m in done[1:4]])


def _interleaved(row: Workload, workers: Sequence[Worker], settings: Settings) -> list[Measurement]:
    """Prepare one after the other, then one sample each in turn until everybody has enough."""
    found: dict[str, Measurement] = {}
    for worker in workers:
        answer = worker.ask(do="prepare", workload=row.key, seed=settings.seed)
        worker.settle()
        found[worker.peer.name] = measurement_of(row, worker.peer, worker.threads, answer)
    active = [worker for worker in workers if found[worker.peer.name].status == "ok"]
    while active:
        for worker in active:
            found[worker.peer.name] = _one_more(found[worker.peer.name], worker)
        active = [worker for worker in active if not _enough(row, found[worker.peer.name], settings)]
    for worker in workers:
        worker.ask(do="release")
    return [found[worker.peer.name] for worker in workers]


def _enough(row: Workload, measurement: Measurement, settings: Settings) -> bool:
    seconds = statistics.median(measurement.wall) * measurement.calls if measurement.wall else 0.0
    return measurement.status != "ok" or len(measurement.wall) >= settings.samples(row, seconds)


def _one_more(measurement: Measurement, worker: Worker) -> Measurement:
    answer = worker.ask(do="time", samples=1)
    worker.settle()
    if answer["status"] != "ok":
        return replace(measurement, status=answer["status"], why=answer["why"])
    return replace(measurement, wall=measurement.wall + answer["wall"], cpu=measurement.cpu + answer["cpu"])
