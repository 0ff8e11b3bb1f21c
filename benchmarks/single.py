"""Work that takes a process of its own: the first fit (W8), memory (W10), quality over time (W11)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from benchmarks import memory, quality
from benchmarks.peers import Peer
from fastnn.bench.specs import Data, InferSpec, MemorySpec, ProcessSpec, QualitySpec, TrainSpec, Workload, make_data
from fastnn.bench.timing import Task

WARM_CALLS = 1000
"""Calls after which memory has grown to what it needs."""


def run(peer: Peer, workload: Workload, seed: int, threads: int) -> dict[str, Any]:
    """Do the work of ``workload`` once."""
    spec = workload.spec
    if isinstance(spec, ProcessSpec):
        return first_fit(peer, spec, seed, threads)
    if isinstance(spec, MemorySpec):
        return memory_of(peer, spec, seed, threads)
    if isinstance(spec, QualitySpec):
        return {"status": "ok", "curve": quality.CURVES[peer.name](spec, threads), "why": quality.data_name(spec)}
    raise TypeError(f"{workload.key} does not take a process of its own")


def _task(peer: Peer, spec: TrainSpec | InferSpec, data: Data, threads: int) -> Task | None:
    make: Any = peer.train if isinstance(spec, TrainSpec) else peer.infer
    return None if make is None else make(spec, data, threads)


def first_fit(peer: Peer, spec: ProcessSpec, seed: int, threads: int) -> dict[str, Any]:
    """One epoch of a fresh model."""
    model = replace(spec.model, epochs=1)
    task = _task(peer, model, make_data(model, seed), threads)
    if task is None or task.reset is None:
        return {"status": "gap", "why": "it does not train"}
    task.reset()
    return {"status": "ok", "result": [float(task.run())]}


def memory_of(peer: Peer, spec: MemorySpec, seed: int, threads: int) -> dict[str, Any]:
    """Bytes at the peak of the whole process, its data included; for many calls, the growth after the first ones."""
    data = make_data(spec.work, seed)
    memory.reset_peak()  # drawing the data took more than the work may take
    task = _task(peer, spec.work, data, threads)
    if task is None:
        return {"status": "gap", "why": "no such call"}
    if spec.calls == 1:
        if task.reset is not None:
            task.reset()
        task.run()
        return {"status": "ok", "memory": memory.peak()}
    for _ in range(WARM_CALLS):
        task.run()
    before, start = memory.resident(), time.perf_counter()
    for _ in range(spec.calls):
        task.run()
    return {"status": "ok", "memory": memory.resident() - before, "seconds": time.perf_counter() - start}
