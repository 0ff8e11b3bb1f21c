"""How long a run takes."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn.bench.specs import CostSpec, InferSpec, KernelSpec, Workload


@dataclass(frozen=True)
class Settings:
    """Each peer takes samples of a workload for ``seconds``, ``short_seconds`` for kernels and single calls.

    At least ``least`` and at most ``most`` of them, but not for longer than ``limit`` seconds: a peer that is slow takes fewer, one
    at least. ``processes``: starts of a process of W8. ``seed``: of the data.
    """

    seconds: float = 1.5
    short_seconds: float = 0.16
    limit: float = 8.0
    least: int = 3
    most: int = 11
    processes: int = 3
    seed: int = 0

    def samples(self, workload: Workload, sample_seconds: float) -> int:
        """How many samples a peer takes whose samples last so long."""
        budget = self.short_seconds if isinstance(workload.spec, KernelSpec | InferSpec | CostSpec) else self.seconds
        sample_seconds = max(sample_seconds, 1e-9)
        wanted = min(max(int(budget / sample_seconds), self.least), self.most, workload.repeats)
        return max(1, min(wanted, int(self.limit / sample_seconds)))


QUICK = Settings(seconds=0.4, short_seconds=0.06, limit=4.0, least=2, most=5, processes=2)
