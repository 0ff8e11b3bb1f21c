"""What a run found, as data: written as JSON, read back, and what follows from it."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.peers import Peer
from benchmarks.workloads import find
from fastnn.bench.specs import InferSpec, KernelSpec, MemorySpec, QualitySpec, SweepSpec, TrainSpec, Workload
from fastnn.bench.timing import Statistics, duration, summarize

FORMAT = 1
"""Changes when an old file cannot be read any more."""

OURS = "fastnn"

MACHINE = "machine"
LIMITS = (MACHINE, "plain C")
"""What a library could reach: shown, but not counted among the peers."""

LESS_PRECISE = ("fastnn tf32", "cublas tf32", "cublas bf16")
"""Not float32: shown, but not counted among the peers, and nobody's result is compared with theirs."""

IN_CACHE = 1_000_000
"""Bytes of a kernel whose arrays stay in the caches of any machine; it is given by its time, and memory does not limit it."""

LOSS_TOLERANCE, OWN_ORDER_TOLERANCE, VALUE_TOLERANCE = 0.02, 0.25, 1e-3
"""Largest relative difference of final losses, in the same order of the samples and in another, and of arrays."""


@dataclass(frozen=True)
class Measurement:
    """One peer's run of one workload on ``threads`` threads.

    ``status``: "ok"; "missing" (not installed), "gap" (no such call), "failed"; ``why`` then says more, and of W11 names the data.
    ``wall`` and ``cpu`` are seconds a call, one value a sample, of ``calls`` calls each; ``warm_up`` the seconds that building,
    compiling and the first call took, of a process the first start. A call trains ``units``
    models. ``result``: numbers that are compared; ``agrees``: whether they are the other peers'. ``memory``: peak bytes; of W10
    the bytes asked for. ``curve``: W11's (seconds, score). ``spent``: seconds that the run took for all of it.
    """

    workload: str
    peer: str
    threads: int
    status: str
    why: str = ""
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    calls: int = 1
    units: int = 1
    warm_up: float = 0.0
    result: list[float] | None = None
    agrees: bool | None = None
    memory: int = 0
    curve: list[list[float]] = field(default_factory=list)
    spent: float = 0.0

    @property
    def row(self) -> Workload:
        """Its row of the table of workloads."""
        return find(self.workload)

    @property
    def time(self) -> Statistics:
        """Of the seconds that one unit takes (one model of a sweep, one call otherwise)."""
        return summarize([value / self.units for value in self.wall])

    @property
    def value(self) -> float:
        """What peers are compared by, the less the better: seconds; bytes; W11: seconds to the target, or the least error."""
        spec = self.row.spec
        if isinstance(spec, MemorySpec):
            return float(self.memory)
        if isinstance(spec, QualitySpec):
            if spec.target:
                return next((seconds for seconds, score in self.curve if score >= spec.target), math.inf)
            return min(score for _, score in self.curve)
        return self.time.median


def measurement_of(row: Workload, peer: Peer, threads: int, answer: dict[str, Any]) -> Measurement:
    """What a worker's answer says."""
    names = {"why", "calls", "units", "warm_up", "result", "memory", "curve"}
    return Measurement(row.key, peer.name, threads, answer["status"], **{name: answer[name] for name in names & answer.keys()})


@dataclass(frozen=True)
class Results:
    """A whole run: ``machine`` and ``peers`` describe themselves (see `benchmarks.machine`)."""

    date: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    peers: dict[str, dict[str, str]]
    measurements: list[Measurement]

    def save(self, path: Path) -> None:
        """Write JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")

    def of(self, workload: str, threads: int) -> dict[str, Measurement]:
        """By peer, in the order of the run."""
        return {m.peer: m for m in self.measurements if m.workload == workload and m.threads == threads}

    def find(self, workload: str, threads: int, peer: str) -> Measurement | None:
        """One measurement that succeeded, or None."""
        found = self.of(workload, threads).get(peer)
        return found if found is not None and found.status == "ok" else None

    @property
    def workloads(self) -> list[Workload]:
        """The rows that were run, in order."""
        return [find(key) for key in dict.fromkeys(m.workload for m in self.measurements)]

    @property
    def device(self) -> str:
        """Where the peers computed."""
        return str(self.settings.get("device", "cpu"))

    @property
    def threads(self) -> list[int]:
        """The numbers of threads, in order."""
        return sorted({m.threads for m in self.measurements})


def load(path: Path) -> Results:
    """Read what `Results.save` wrote.

    Raises
    ------
    ValueError
        If it is not such a file, or of another format.
    """
    try:
        stored = json.loads(path.read_text())
        found = stored.pop("format")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f"{path} is not a file of benchmark results") from None
    if found != FORMAT:
        raise ValueError(f"{path} has format {found}; this version reads {FORMAT}")
    measurements = [Measurement(**each) for each in stored.pop("measurements")]
    return Results(measurements=measurements, **stored)


def compare_results(measurements: Iterable[Measurement], own_order: Iterable[str]) -> list[Measurement]:
    """The measurements of one workload and number of threads, with ``agrees``: equal to the median of all in the given order."""
    measured, strangers = list(measurements), set(own_order)
    compared = [m for m in measured if m.status == "ok" and m.result is not None and m.peer not in LESS_PRECISE]
    judges = [m for m in compared if m.peer not in strangers] or compared
    if len(compared) < 2:
        return measured
    length = min(len(m.result or ()) for m in judges)
    truth = [statistics.median((m.result or [])[place] for m in judges) for place in range(length)]
    return [replace(m, agrees=_agrees(m, truth, m.peer in strangers)) if m in compared else m for m in measured]


def _agrees(measurement: Measurement, truth: list[float], stranger: bool) -> bool:
    result = measurement.result or []
    trains = isinstance(measurement.row.spec, TrainSpec | SweepSpec)
    tolerance = VALUE_TOLERANCE if not trains else OWN_ORDER_TOLERANCE if stranger else LOSS_TOLERANCE
    largest = max(map(abs, truth), default=0.0) or 1.0
    worst = max((abs(a - b) for a, b in zip(result, truth, strict=False)), default=0.0)
    return worst <= tolerance * largest  # False for NaN


def on_threads(count: int) -> str:
    """ "1 thread", "2 threads"."""
    return f"{count} thread{'s' * (count > 1)}"


def figure(measurement: Measurement) -> str:
    """The measurement in the workload's own unit."""
    spec = measurement.row.spec
    if isinstance(spec, MemorySpec):
        return f"{measurement.memory / 1e6:,.1f} MB"
    if isinstance(spec, QualitySpec):
        value = measurement.value
        reached = "not reached" if math.isinf(value) else duration(value)
        return f"{reached} ({measurement.why})" if spec.target else f"RMS error {value:.3f}"
    seconds = measurement.value
    if isinstance(spec, TrainSpec):
        return f"{duration(seconds / spec.steps)}/step"
    if isinstance(spec, SweepSpec):
        return f"{1 / seconds:,.1f} models/s"
    if isinstance(spec, KernelSpec) and spec.flops:
        return f"{spec.flops / seconds / 1e9:,.1f} GFLOP/s"
    if isinstance(spec, KernelSpec) and spec.bytes >= IN_CACHE:
        return f"{spec.bytes / seconds / 1e9:,.2f} GB/s"
    return f"{duration(seconds)}/call" if isinstance(spec, InferSpec) else duration(seconds)


def ratio(measurement: Measurement, ours: Measurement | None) -> float | None:
    """How many times what fastnn needs; None where either has no value."""
    if ours is None or ours.status != "ok" or measurement.status != "ok" or not ours.value or math.isinf(ours.value):
        return None
    return measurement.value / ours.value


def limit_rates(results: Results, threads: int) -> dict[str, float]:
    """The machine reached: FLOP/s ("flops"), bytes/s in the caches ("cache"), of memory by stream ("copy", ...), and at best."""
    found: dict[str, float] = {}
    for row in results.workloads:
        spec = row.spec
        measurement = results.find(row.key, threads, MACHINE)
        if measurement is None or not isinstance(spec, KernelSpec):
            continue
        rate = (spec.flops or spec.bytes) / measurement.value
        kinds = ["flops"] if spec.flops else [spec.op, "bytes"] if spec.bytes >= IN_CACHE else ["cache"]
        for kind in kinds:
            found[kind] = max(found.get(kind, 0.0), rate)
    return found
