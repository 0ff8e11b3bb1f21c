"""The runner: workers prepare, then take turns, one sample each, so that whatever the machine does meanwhile hits all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby

from benchmarks import alone, machine
from benchmarks.estimate import Known, clock, estimate
from benchmarks.peers import Peer
from benchmarks.processes import Worker, busy_neighbour
from benchmarks.results import Measurement, Results, compare_results, measurement_of, on_threads
from benchmarks.settings import Settings
from fastnn.bench.specs import MemorySpec, ProcessSpec, QualitySpec, Workload

Progress = Callable[[str], None]


def run(
    workloads: Sequence[Workload],
    peers: Sequence[Peer],
    threads: Sequence[int],
    settings: Settings,
    say: Progress,
    earlier: Known | None = None,
) -> Results:
    """Run everything; what cannot run here is a measurement that says why. Ctrl-C ends a run, which keeps what it has.

    ``earlier``: what the time left is estimated from.
    """
    device, plan = peers[0].device, _plan(workloads, peers, threads)
    missing = {peer.name: why for peer in peers if (why := peer.missing()) is not None}
    chosen = ((step.row, step.threads, [peer for peer in step.peers if peer.name not in missing]) for step in plan)
    time_left = estimate(chosen, settings, earlier or {})
    taking_part = {peer.name for step in plan for peer in step.peers} - missing.keys()
    say(f"{len(plan)} rows, {len(taking_part)} peers: about {clock(time_left.total)}")
    found: list[Measurement] = []

    def record(step: Step, measured: list[Measurement], seconds: float) -> None:
        found.extend(measured)
        found.extend(
            Measurement(step.row.key, p.name, step.threads, "missing", missing[p.name]) for p in step.peers if p.name in missing
        )
        time_left.spent.append(seconds)
        title = f"{on_threads(step.threads)}  {len(time_left.spent):3}/{len(plan)}  {step.row.key}"
        say(f"{title:62} {seconds:6.1f} s  {clock(time_left.left()) + ' left':>12}  {_line(measured)}")

    try:
        for count, steps in groupby(plan, key=lambda step: step.threads):
            _run_with(list(steps), [peer for peer in peers if peer.name not in missing], count, settings, record)
    except KeyboardInterrupt:
        say("stopped; the rows so far are kept")
    return Results(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        machine=machine.about(device),
        settings={**vars(settings), "threads": sorted(set(threads)), "device": device},
        peers={peer.name: {"group": peer.group, "version": machine.version(peer), "note": peer.note} for peer in peers},
        measurements=found,
    )


@dataclass(frozen=True)
class Step:
    """A row of the table on a number of threads, with the peers that it is for."""

    row: Workload
    threads: int
    peers: list[Peer]


def _plan(workloads: Sequence[Workload], peers: Sequence[Peer], threads: Sequence[int]) -> list[Step]:
    """Every row on every number of threads that it is for."""
    return [
        Step(row, count, [peer for peer in peers if row.peers is None or peer.name in row.peers])
        for count in sorted(set(threads))
        for row in workloads
        if count == max(threads) or not row.all_threads
    ]


Record = Callable[[Step, list[Measurement], float], None]
"""Takes a row's measurements, and the seconds that they took."""


def _run_with(steps: Sequence[Step], peers: Sequence[Peer], threads: int, settings: Settings, record: Record) -> None:
    workers = {peer.name: Worker(peer, threads) for peer in peers}
    try:
        for step in steps:
            start = time.monotonic()
            measured = _run_row(step.row, [workers[peer.name] for peer in step.peers if peer.name in workers], settings)
            record(step, measured, time.monotonic() - start)
    finally:
        for worker in workers.values():
            worker.stop()


def _run_row(row: Workload, workers: Sequence[Worker], settings: Settings) -> list[Measurement]:
    with busy_neighbour(row.neighbour):
        if isinstance(row.spec, ProcessSpec | MemorySpec | QualitySpec):
            measured = alone.run(row, [worker.peer for worker in workers], workers[0].threads, settings) if workers else []
        else:
            measured = _interleaved(row, workers, settings)
    return compare_results(measured, [worker.peer.name for worker in workers if worker.peer.own_order])


def _line(measured: Sequence[Measurement]) -> str:
    """The best, and how far the next ones are behind."""
    done = sorted((m for m in measured if m.status == "ok"), key=lambda m: m.value)
    if not done:
        return "nobody could run it"
    least = done[0].value or 1.0
    return ", ".join([f"{done[0].peer} 1"] + [f"{m.peer} {m.value / least:.2f}" for m in done[1:4]])


def _interleaved(row: Workload, workers: Sequence[Worker], settings: Settings) -> list[Measurement]:
    """Prepare one after the other, then one sample each in turn until everybody has enough."""
    found: dict[str, Measurement] = {}
    for worker in workers:
        start = time.monotonic()
        answer = worker.ask(do="prepare", workload=row.key, seed=settings.seed)
        worker.settle()
        found[worker.peer.name] = replace(measurement_of(row, worker.peer, worker.threads, answer), spent=time.monotonic() - start)
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
    start = time.monotonic()
    answer = worker.ask(do="time", samples=1)
    worker.settle()
    measurement = replace(measurement, spent=measurement.spent + time.monotonic() - start)
    if answer["status"] != "ok":
        return replace(measurement, status=answer["status"], why=answer["why"])
    return replace(measurement, wall=measurement.wall + answer["wall"], cpu=measurement.cpu + answer["cpu"])
