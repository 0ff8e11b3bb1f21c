"""``python -m benchmarks compare A.json B.json``: what changed from run A to run B, beyond the spread."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.results import Measurement, Results, figure, load, on_threads

LEAST_CHANGE = 0.03
"""A smaller change is never flagged."""

SPREADS = 2.0
"""Flagged is a change of more than so many times the two spreads together."""


@dataclass(frozen=True)
class Change:
    """One measurement in both runs: ``ratio`` is B's value over A's, ``noise`` the relative change that means nothing."""

    before: Measurement
    after: Measurement
    ratio: float
    noise: float

    @property
    def flagged(self) -> bool:
        """Whether the change is beyond the spread."""
        return abs(math.log(self.ratio)) > math.log1p(self.noise)


def changes(before: Results, after: Results) -> list[Change]:
    """Every measurement that succeeded in both runs, in order."""
    found = []
    for old in before.measurements:
        new = after.find(old.workload, old.threads, old.peer)
        if old.status == "ok" and new is not None and _comparable(old) and _comparable(new):
            found.append(Change(old, new, new.value / old.value, noise(old, new)))
    return found


def _comparable(measurement: Measurement) -> bool:
    return 0 < measurement.value < math.inf


def noise(before: Measurement, after: Measurement) -> float:
    """`SPREADS` times the root of the sum of the squared spreads, at least `LEAST_CHANGE`."""
    spreads = [m.time.spread if m.wall else 0.0 for m in (before, after)]
    return max(LEAST_CHANGE, SPREADS * math.hypot(*spreads))


def report(before: Results, after: Results, *, everything: bool = False) -> str:
    """A line a change that is flagged (of all, if ``everything``), then how many there were."""
    found = changes(before, after)
    lines = []
    if any(before.machine.get(name) != after.machine.get(name) for name in ("name", "cores", "gpu")):
        named = [run.machine.get("gpu") or run.machine["name"] for run in (before, after)]
        lines.append(f"the runs are from different machines: {named[0]} and {named[1]}")
    for change in found:
        if change.flagged or everything:
            lines.append(_line(change))
    worse = sum(change.flagged and change.ratio > 1 for change in found)
    better = sum(change.flagged and change.ratio < 1 for change in found)
    lines.append(f"{len(found)} measurements in both runs: {better} better, {worse} worse beyond the spread")
    return "\n".join(lines)


def _line(change: Change) -> str:
    old, new = change.before, change.after
    word = ("worse" if change.ratio > 1 else "better") if change.flagged else "same"
    name = f"{old.workload}, {old.peer}, {on_threads(old.threads)}"
    return f"{word:7} {name:60} {figure(old):>16} -> {figure(new):>16}  {change.ratio:5.2f}x (noise ±{100 * change.noise:.0f}%)"


def main(arguments: Sequence[str]) -> int:
    """Compare two files; the status is 1 when something of fastnn got worse."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks compare", description=__doc__)
    parser.add_argument("before", type=Path, metavar="A.json")
    parser.add_argument("after", type=Path, metavar="B.json")
    parser.add_argument("--all", action="store_true", help="show what did not change as well")
    chosen = parser.parse_args(arguments)
    try:
        before, after = load(chosen.before), load(chosen.after)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    print(report(before, after, everything=chosen.all))
    return int(any(change.flagged and change.ratio > 1 and change.before.peer == "fastnn" for change in changes(before, after)))
