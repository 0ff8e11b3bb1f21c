"""How long a run will take: by what earlier runs took for the same rows and peers, and by a guess where there was none."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import Peer
from benchmarks.results import Measurement, load
from benchmarks.settings import Settings
from fastnn.bench.specs import ProcessSpec, TrainSpec, Workload

Key = tuple[str, str, bool]
"""Workload, peer, and whether it ran on one thread."""

Known = Mapping[Key, Measurement]

UNKNOWN = {"train": 1.0, "sweep": 10.0, "infer": 0.5, "kernel": 0.4, "cost": 0.5, "process": 8.0, "memory": 6.0, "quality": 15.0}
"""Seconds that a peer may take for a row of this kind that no earlier run has; training itself comes on top."""

GUESSED_RATE, GUESSED_STEP = 50e9, 2e-4
"""FLOP/s of a peer nobody has timed, and seconds of its step beside them."""

UNABLE_SECONDS = 0.1
"""What a peer takes to say that it has no call for a row."""

CALLS = {"train": "train", "sweep": "train", "infer": "infer", "kernel": "kernel", "cost": "cost", "memory": "train"}
"""The call of `Peer` without which it has nothing to do for rows of a kind."""


def known(folder: Path, device: str = "cpu") -> dict[Key, Measurement]:
    """The measurements of all runs on ``device`` in ``folder``, of the newest run that has them."""
    found: dict[Key, Measurement] = {}
    for path in sorted(folder.glob("*.json")):
        with suppress(ValueError):  # of another format
            run = load(path)
            if run.device == device:
                found |= {(m.workload, m.peer, m.threads == 1): m for m in run.measurements if m.status != "missing"}
    return found


def seconds(row: Workload, peer: Peer, threads: int, settings: Settings, earlier: Known) -> float:
    """What ``peer`` will take for ``row``."""
    before = earlier.get((row.key, peer.name, threads == 1))
    if before is None:
        return guess(row, settings) if getattr(peer, CALLS.get(row.kind, "name")) else 0.0
    if before.status != "ok":
        return before.spent or UNABLE_SECONDS
    if not before.wall:
        return before.spent or UNKNOWN[row.kind]
    sample = statistics.median(before.wall) * before.calls
    sampling = sum(before.wall) * before.calls
    rest = before.spent - sampling if before.spent else before.warm_up
    count = min(row.repeats, settings.processes) if isinstance(row.spec, ProcessSpec) else settings.samples(row, sample)
    return max(rest, 0.0) + count * sample


def guess(row: Workload, settings: Settings) -> float:
    """What a peer may take for ``row`` that no earlier run has."""
    if not isinstance(row.spec, TrainSpec):
        return UNKNOWN[row.kind]
    sample = row.spec.flops / GUESSED_RATE + row.spec.steps * GUESSED_STEP
    return UNKNOWN[row.kind] + sample * (1 + settings.samples(row, sample))


@dataclass
class Estimate:
    """The seconds that each row is expected to take, corrected by what the ones before took."""

    rows: list[float]
    spent: list[float] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Of all rows."""
        return sum(self.rows)

    def left(self) -> float:
        """Of the rows to come."""
        done = sum(self.rows[: len(self.spent)])
        factor = sum(self.spent) / done if done >= LEAST_DONE * self.total else 1.0
        return factor * (self.total - done)


LEAST_DONE = 0.1
"""Part of a run after which its own speed counts."""


def estimate(plan: Iterable[tuple[Workload, int, Iterable[Peer]]], settings: Settings, earlier: Known) -> Estimate:
    """Of rows with their threads and peers."""
    return Estimate([sum(seconds(row, peer, threads, settings, earlier) for peer in peers) for row, threads, peers in plan])


def clock(value: float) -> str:
    """Seconds as a person says them.

    >>> clock(42.4), clock(95), clock(2400)
    ('42 s', '1.6 min', '40 min')
    """
    return f"{value:.0f} s" if value < 90 else f"{value / 60:.1f} min" if value < 600 else f"{value / 60:.0f} min"
