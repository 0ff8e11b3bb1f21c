"""How long a run takes."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn.bench.specs import InferSpec, KernelSpec, Workload


@dataclass(frozen=True)
class Settings:
    """Each peer takes samples of a workload for ``seconds``, ``short_seconds`` for kernels and single calls.

    At least ``least`` and at most ``most`` of them. ``processes``: starts of a process of W8. ``seed``: of the data.
    """

    seconds: float = 4.0
    short_seconds: float = 0.2
    least: int = 3
    most: int = 15
    processes: int = 3
    seed: int = 0

    def samples(self, workload: Workload, sample_seconds: float) -> int:
        """How many samples a peer takes whose samples last so long."""
        budget = self.short_seconds if isinstance(workload.spec, KernelSpec | InferSpec) else self.seconds
        wanted = int(budget / max(sample_seconds, 1e-9))
        return min(max(wanted, self.least), self.most, workload.repeats)


QUICK = Settings(seconds=0.4, short_seconds=0.06, least=2, most=5, processes=2)
