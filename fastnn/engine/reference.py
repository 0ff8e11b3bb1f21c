"""The reference engine: a program's rows as NumPy calls, in order, on one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from fastnn_kernels.instructions import STATUS, STATUS_OK
from fastnn_kernels.reference.kernels import KERNELS
from numpy.typing import NDArray

from fastnn.engine.base import Progress, Stop
from fastnn.engine.rows import attributes_of, operand_called
from fastnn.memory import AWAY, Memory
from fastnn.program import Program, Row


@dataclass(slots=True)
class Call:
    """One row, ready to run: ``function(*views, *attributes)``."""

    row: Row
    function: Callable[..., None]
    views: list[NDArray | None]
    attributes: Sequence[int | float]
    status: NDArray[np.int64] | None
    """The row's ``control`` when the run may stop after it."""


@dataclass(slots=True)
class BoundProgram:
    """The calls of one program over one memory, for one batch size."""

    memory: Memory
    batch: int
    calls: list[Call]


class ReferenceEngine:
    """Runs programs with ``fastnn_kernels.reference``: slow, exact, the definition of the right answer."""

    name = "reference"
    takes_device_arrays = False

    def scratch_elements(self, program: Program, batch: int) -> int:
        """NumPy allocates what it needs: none."""
        return 0

    def prepare(self, programs: Sequence[Program], progress: Progress | None = None) -> None:
        """There is nothing to compile."""

    def units(self) -> list[str]:
        """There is nothing to compile."""
        return []

    def load(self, units: Sequence[str], progress: Progress | None = None) -> None:
        """There is nothing to compile."""

    def bind(self, program: Program, memory: Memory, batch: int) -> BoundProgram:
        """Every row's operands as views of ``memory`` for batches of ``batch`` samples."""
        return BoundProgram(memory, batch, [self._call(row, memory, batch) for row in program.rows])

    def _call(self, row: Row, memory: Memory, batch: int) -> Call:
        views = [memory.view(operand, batch) for operand in row.operands]
        status = memory.view(operand_called(row, "control"), batch) if row.instruction.may_stop else None
        return Call(row, KERNELS[row.op], views, attributes_of(row, memory, batch), status)

    def rebind_inputs(self, bound: BoundProgram) -> None:
        """Follow ``memory.inputs`` after the caller's arrays changed."""
        for call in bound.calls:
            for index, operand in enumerate(call.row.operands):
                if operand is not None and operand.segment == "inputs":
                    call.views[index] = bound.memory.view(operand, bound.batch)

    def run(self, bound: BoundProgram, steps: int, first_row: int = 0, workers: int | None = None) -> Stop | None:
        """Run ``steps`` steps, the first one from ``first_row``; returns ``(step, row)`` where a status stopped it, or None."""
        if AWAY:
            bound.memory.come_home()
        with np.errstate(all="ignore"):
            for step in range(steps):
                for number in range(first_row if step == 0 else 0, len(bound.calls)):
                    call = bound.calls[number]
                    call.function(*call.views, *call.attributes)
                    if call.status is not None and call.status[STATUS] != STATUS_OK:
                        return step, number
        return None
