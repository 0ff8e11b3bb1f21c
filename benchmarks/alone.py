"""Workloads that take fresh processes: W8 is timed from outside, W10 and W11 tell what they saw."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.peers import Peer
from benchmarks.processes import Worker, cores_of, environment, pinned, worker_command
from benchmarks.results import Measurement, measurement_of
from benchmarks.settings import Settings
from fastnn.bench.specs import ProcessSpec, Workload
from fastnn.bench.timing import Sample, process


@dataclass(frozen=True)
class Command:
    """A process to start: its command line, what it reads, and whether each start gets an empty cache."""

    line: list[str]
    text: str
    cold: bool


def run(row: Workload, peers: Sequence[Peer], threads: int, settings: Settings) -> list[Measurement]:
    """Measure ``row`` with every peer; W8's processes take turns."""
    if isinstance(row.spec, ProcessSpec):
        return _processes(row, row.spec, peers, threads, settings)
    found = []
    for peer in peers:
        start, worker = time.monotonic(), Worker(peer, threads)
        try:
            answer = worker.ask(do="once", workload=row.key, seed=settings.seed)
        finally:
            worker.stop()
        found.append(replace(measurement_of(row, peer, threads, answer), spent=time.monotonic() - start))
    return found


def _processes(row: Workload, spec: ProcessSpec, peers: Sequence[Peer], threads: int, settings: Settings) -> list[Measurement]:
    found: dict[str, Measurement] = {}
    commands: dict[str, Command] = {}
    for peer in peers:
        command = _command(row, spec, peer, threads, settings)
        twin = next((name for name, other in commands.items() if other == command), None)
        if twin is not None:
            command = f"the same import as {twin}"
        if isinstance(command, Command):
            commands[peer.name] = command
            found[peer.name] = Measurement(row.key, peer.name, threads, "ok")
        else:
            found[peer.name] = Measurement(row.key, peer.name, threads, "gap", command)
    for turn in range(min(row.repeats, settings.processes) + (not spec.cold)):  # the first turn fills caches
        for peer in peers:
            if found[peer.name].status == "ok":
                found[peer.name] = _one_more(found[peer.name], commands[peer.name], peer, keep=spec.cold or turn > 0)
    return list(found.values())


def _command(row: Workload, spec: ProcessSpec, peer: Peer, threads: int, settings: Settings) -> Command | str:
    """The command, or why there is none."""
    if spec.work == "import":
        return Command([sys.executable, "-c", peer.import_line], "", cold=False) if peer.import_line else "nothing to import"
    if peer.train is None:
        return "it does not train"
    if spec.cold and peer.cold_environment is None:
        return "it keeps no cache: cold is warm"
    request = json.dumps({"do": "once", "workload": row.key, "seed": settings.seed}) + "\n"
    return Command(worker_command(peer, threads), request, spec.cold)


def _one_more(measurement: Measurement, command: Command, peer: Peer, *, keep: bool) -> Measurement:
    row, threads = measurement.row, measurement.threads
    try:
        sample, output = _start(command, peer, threads)
    except RuntimeError as error:
        return Measurement(row.key, peer.name, threads, "failed", str(error))
    answer = json.loads(output) if command.text else {"status": "ok"}
    before = measurement if keep else Measurement(row.key, peer.name, threads, "ok", warm_up=sample.wall)
    after = measurement_of(row, peer, threads, answer)
    if after.status != "ok":
        return after
    wall, cpu = ([*before.wall, sample.wall], [*before.cpu, sample.cpu]) if keep else ([], [])
    return replace(before, wall=wall, cpu=cpu, result=after.result, spent=measurement.spent + sample.wall)


def _start(command: Command, peer: Peer, threads: int) -> tuple[Sample, str]:
    with tempfile.TemporaryDirectory() as folder:
        cold = peer.cold_environment(Path(folder)) if command.cold and peer.cold_environment is not None else {}
        with pinned(cores_of(threads)):
            return process(command.line, environment(peer, threads) | cold, command.text)
