"""What an engine is: it runs bound programs on one device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from fastnn.memory import Memory
from fastnn.program import Program

Progress = Callable[[int, int, str], None]
"""``progress(done, total, what)``: called while kernels are compiled."""

Stop = tuple[int, int]
"""``(step, row)`` after which a run stopped, because the row left a status in ``control``."""


class Engine(Protocol):
    """Runs whole epochs of a bound program without returning to Python."""

    name: str

    takes_device_arrays: bool
    """Whether inputs may be arrays that lie on the GPU."""

    def scratch_elements(self, program: Program, batch: int) -> int:
        """Elements of the ``scratch`` segment that ``program`` needs on this engine for batches of up to ``batch`` samples."""

    def prepare(self, programs: Sequence[Program], progress: Progress | None = None) -> None:
        """Compile, or load from the cache, what ``programs`` need."""

    def units(self) -> list[str]:
        """Names of all that can be compiled for the engine."""

    def load(self, units: Sequence[str], progress: Progress | None = None) -> None:
        """Compile, or load from the cache, these units."""

    def bind(self, program: Program, memory: Memory, batch: int) -> Any:
        """Turn a program into something to run over ``memory`` with batches of ``batch`` samples."""

    def rebind_inputs(self, bound: Any) -> None:
        """Follow ``memory.inputs`` after the caller's arrays changed."""

    def run(self, bound: Any, steps: int, first_row: int = 0, workers: int | None = None) -> Stop | None:
        """Run ``steps`` steps, the first one from ``first_row``. Returns where a status stopped it, or None."""
