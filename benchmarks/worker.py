"""A worker: one process a peer and a number of threads. ``python -m benchmarks.worker PEER THREADS CORES DEVICE``.

It reads requests, one JSON object a line, and answers each with one:

* ``{"do": "prepare", "workload": key, "seed": n}``: make the data, build, run once (the warm-up). Answers ``{"status": "ok",
  "warm_up": seconds of building, compiling and that run, "calls": calls a sample, "units": models a call, "result": numbers to
  compare, "memory": peak bytes}``,
  ``{"status": "gap", "why": ...}`` for what the library has no call for, or ``{"status": "failed", "why": ...}``.
* ``{"do": "time", "samples": n}``: answers ``{"wall": [seconds a call, ...], "cpu": [...]}``.
* ``{"do": "once", "workload": key, "seed": n}``: for a process that does one thing and ends: W8's first fit, W10, W11.
* ``{"do": "release"}``: let go of the data. The end of its input ends the worker.

CORES, "0,1", is the affinity; it is set before anything but the standard library is imported.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from benchmarks.peers import Peer
    from fastnn.bench.specs import Workload
    from fastnn.bench.timing import Task

COMPARED = 64
"""Numbers of a result that are compared."""


def pin(cores: str) -> None:
    """Stay on ``cores``, where the system can do that."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [int(core) for core in cores.split(",")])


def task_of(peer: Peer, workload: Workload, seed: int, threads: int) -> tuple[Task | None, int, float]:
    """The task, the models that one call of it trains, and the seconds it took to make; None: the peer has no call for it."""
    from benchmarks import memory
    from fastnn.bench.specs import CostSpec, InferSpec, KernelSpec, SweepSpec, TrainSpec, make_data

    spec: Any = workload.spec
    units = spec.models if isinstance(spec, SweepSpec) and peer.sweep is not None else 1
    if isinstance(spec, SweepSpec) and peer.sweep is None:
        spec = spec.model
    makers: dict[type, Any] = {
        TrainSpec: peer.train,
        SweepSpec: peer.sweep,
        InferSpec: peer.infer,
        KernelSpec: peer.kernel,
        CostSpec: peer.cost,
    }
    make = makers[type(spec)]
    if make is None:
        return None, units, 0.0
    data = make_data(spec, seed)
    memory.reset_peak()  # drawing the data took more than the work may take
    start = time.perf_counter()
    task = make(spec, data, threads)
    return task, units, time.perf_counter() - start


def compared(result: Any) -> list[float] | None:
    """A few numbers of a result, spread evenly; None for a task without one."""
    if result is None:
        return None
    import numpy as np

    flat = np.asarray(result, np.float64).ravel()
    return [float(value) for value in flat[:: -(-flat.size // COMPARED)]]


class Session:
    """What one worker holds between requests."""

    def __init__(self, peer: Peer, threads: int) -> None:
        self.peer, self.threads = peer, threads
        self.task: Task | None = None
        self.calls = 1

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what ``request`` asks."""
        actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "prepare": self.prepare,
            "time": self.time,
            "once": self.once,
            "release": self.release,
        }
        try:
            return actions[request["do"]](request)
        except Exception as error:  # whatever a library raises is a result: the others go on
            traceback.print_exc(file=sys.stderr)
            self.task = None
            return {"status": "failed", "why": f"{type(error).__name__}: {error}".splitlines()[0][:300]}

    def prepare(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make the data and the task, and run it once."""
        from benchmarks import memory
        from benchmarks.workloads import find
        from fastnn.bench.timing import calls_per_sample

        self.task = None
        self.task, units, making = task_of(self.peer, find(request["workload"]), request["seed"], self.threads)
        if self.task is None:
            return {"status": "gap", "why": "no such call"}
        if self.task.reset is not None:
            self.task.reset()
        start = time.perf_counter()
        result = compared(self.task.run())
        first = time.perf_counter() - start
        self.calls = calls_per_sample(self.task) if first < 1 else 1
        return {
            "status": "ok",
            "warm_up": making + first,
            "calls": self.calls,
            "units": units,
            "result": result,
            "memory": memory.peak(),
        }

    def time(self, request: dict[str, Any]) -> dict[str, Any]:
        """Samples of the task that was prepared."""
        from fastnn.bench.timing import once

        if self.task is None:
            raise RuntimeError("there is no task: 'time' before 'prepare'")
        samples = [once(self.task, self.calls) for _ in range(request["samples"])]
        return {"status": "ok", "wall": [sample.wall for sample in samples], "cpu": [sample.cpu for sample in samples]}

    def once(self, request: dict[str, Any]) -> dict[str, Any]:
        """One whole piece of work of a fresh process."""
        from benchmarks import single
        from benchmarks.workloads import find

        return single.run(self.peer, find(request["workload"]), request["seed"], self.threads)

    def release(self, request: dict[str, Any]) -> dict[str, Any]:
        """Let go of the task and its data."""
        self.task = None
        return {"status": "ok"}


def serve(peer: Peer, threads: int, requests: TextIO, answers: TextIO) -> None:
    """Answer requests until their end."""
    session = Session(peer, threads)
    for line in requests:
        answers.write(json.dumps(session.answer(json.loads(line))) + "\n")
        answers.flush()


def main(arguments: list[str]) -> None:
    """Pin, then serve on standard input and output; whatever a library prints goes to standard error."""
    name, threads, cores, device = arguments
    pin(cores)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from benchmarks.peers import all_peers

    with answers:
        serve(all_peers(device)[name], int(threads), sys.stdin, answers)


if __name__ == "__main__":
    main(sys.argv[1:])
