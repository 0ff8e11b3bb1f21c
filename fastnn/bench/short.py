"""``python -m fastnn bench``: fastnn beside NumPy by hand, in this process and in fresh ones; less than a minute."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib import metadata

import numpy as np

import fastnn
from fastnn import config
from fastnn.bench import machine, with_fastnn, with_numpy
from fastnn.bench.specs import InferSpec, ProcessSpec, TrainSpec, Workload, make_data
from fastnn.bench.timing import Sample, Statistics, Task, duration, process, summarize, take_turns
from fastnn.bench.workloads import SHORT

SAMPLES, PROCESSES = 15, 5

OURS, PEER = "fastnn", "NumPy"
PEERS = {OURS: with_fastnn, PEER: with_numpy}
"""The modules whose ``train`` and ``infer`` run the workloads."""

SEED = 0


def run() -> int:
    """Measure and print; returns the exit status."""
    about, threads = machine.describe(), config.num_threads()
    print(f"{about['name']}, {about['cores']} cores, {threads} threads, Python {about['python']}")
    print(f"fastnn {fastnn.__version__}, numba {metadata.version('numba')}; NumPy {np.__version__} by hand, taking turns\n")
    print(f"{'':{WIDTH}}{OURS:>14}{PEER:>14}{'ratio':>9}")
    for workload in SHORT:
        print(line(workload, measure(workload, threads)), flush=True)
    print("\nratio: NumPy's time over fastnn's, medians. More peers and workloads: benchmarks/ in the source repository.")
    return 0


def measure(workload: Workload, threads: int) -> dict[str, Statistics]:
    """Seconds a call, of whoever can run ``workload``."""
    spec = workload.spec
    if isinstance(spec, ProcessSpec):
        found = {name: processes(spec, name) for name in PEERS if not (spec.cold and name == PEER)}
    elif isinstance(spec, TrainSpec | InferSpec):
        found = take_turns(tasks(spec, threads), SAMPLES)
    else:
        raise TypeError(f"{workload.key} is not a workload of the short form")
    return {name: summarize([sample.wall for sample in samples]) for name, samples in found.items()}


def tasks(spec: TrainSpec | InferSpec, threads: int) -> dict[str, Task]:
    """A task of each peer that can run ``spec``, on the same data."""
    data = make_data(spec, SEED)
    made = {
        name: peer.train(spec, data, threads) if isinstance(spec, TrainSpec) else peer.infer(spec, data, threads)
        for name, peer in PEERS.items()
    }
    return {name: task for name, task in made.items() if task is not None}


def processes(spec: ProcessSpec, name: str) -> list[Sample]:
    """Fresh processes, one after the other; the first fills the caches, unless they are to be empty."""
    command = [sys.executable, "-c", f"import {name.lower()}"]
    if spec.work == "first_fit":
        command = [sys.executable, "-m", "fastnn.bench", name]
    found = []
    for _ in range(1 if spec.cold else 1 + PROCESSES):
        with tempfile.TemporaryDirectory() as folder:
            sample, _ = process(command, os.environ | ({"FASTNN_CACHE_DIR": folder} if spec.cold else {}))
            found.append(sample)
    return found if spec.cold else found[1:]


def first_fit(name: str) -> float:
    """One epoch of a fresh model; its loss."""
    spec = next(row.spec for row in SHORT if isinstance(row.spec, TrainSpec))
    spec = replace(spec, epochs=1)
    task = PEERS[name].train(spec, make_data(spec, SEED), config.num_threads())
    assert task.reset is not None
    task.reset()
    return float(task.run())


def title(workload: Workload) -> str:
    """How a row begins."""
    return f"{workload.id}  {workload.title}"


def line(workload: Workload, found: dict[str, Statistics]) -> str:
    """One row of the table."""
    spec = workload.spec
    steps, unit = (spec.steps, "/step") if isinstance(spec, TrainSpec) else (1, "")
    figures = [f"{duration(found[name].median / steps)}{unit}" if name in found else "–" for name in PEERS]
    ratio = f"{found[PEER].median / found[OURS].median:8.2f}x" if len(found) == len(PEERS) else ""
    return f"{title(workload):{WIDTH}}{figures[0]:>14}{figures[1]:>14}{ratio}"


WIDTH = max(len(title(workload)) for workload in SHORT)


def main(arguments: Sequence[str]) -> int:
    """``python -m fastnn.bench NAME``: the process that W8 times."""
    print(first_fit(arguments[0]))
    return 0
