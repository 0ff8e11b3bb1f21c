"""The CUDA engine: a step is a list of kernel launches, which a run repeats as one graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from types import ModuleType
from typing import Any

import numpy as np
from fastnn_kernels.cpu.execute import execute
from fastnn_kernels.cuda.adapters import SCRATCH_ELEMENTS
from fastnn_kernels.instructions import CONTROL_WORDS, STATUS, STATUS_OK, STEP
from fastnn_kernels.units import unit_name

from fastnn.engine.base import Progress, Stop
from fastnn.engine.device_memory import DeviceMemory
from fastnn.engine.rows import attributes_of, operand_called, sizes_of
from fastnn.memory import Memory
from fastnn.program import Program, Row

ON_THE_HOST = frozenset({"shuffle"})
"""Instructions that the CPU runs where a pass begins: thousands of steps in a row, and one thread of a GPU is slow."""

BLOCKS_PER_MULTIPROCESSOR = 4
ELEMENTS_PER_BLOCK = 32
"""The most blocks of a launch, and how many elements of its largest operand are worth one more: a block too many costs
nanoseconds, one too few leaves a multiprocessor idle."""


@dataclass(slots=True)
class Bound:
    """A program bound to a memory for one batch size: the launches of a step, and the program's rows that they are."""

    memory: Memory
    device: DeviceMemory
    batch: int
    entries: dict[str, Any]
    launches: list[Any]
    rows: list[int]
    graph: Any = None
    ran: bool = False


class CudaEngine:
    """Runs programs on the GPU.

    Parameters
    ----------
    device : module
        `fastnn_kernels.cuda.device`, or one like it.

    Raises
    ------
    RuntimeError
        When there is no device, saying what is missing.
    """

    name = "cuda"

    def __init__(self, device: ModuleType) -> None:
        if reason := device.why_not():
            raise RuntimeError(f"device 'cuda' cannot be used: {reason}")
        self._device = device
        self._most_blocks = BLOCKS_PER_MULTIPROCESSOR * int(device.properties()["multiprocessors"])

    def scratch_elements(self, program: Program) -> int:
        """Elements of the ``scratch`` segment: a constant for each block; 0 when no row has a scratch operand."""
        uses = any(operand is not None and operand.segment == "scratch" for row in program.rows for operand in row.operands)
        return SCRATCH_ELEMENTS * self._most_blocks if uses else 0

    def prepare(self, programs: Sequence[Program], progress: Progress | None = None) -> None:
        """Compile, or load from the cache, what ``programs`` need."""
        units = [unit_name(row.op, program.dtype) for program in programs for row in program.rows if row.op not in ON_THE_HOST]
        self._device.load(list(dict.fromkeys(units)), progress)

    def bind(self, program: Program, memory: Memory, batch: int) -> Bound:
        """The launches of ``program`` over ``memory`` for batches of ``batch`` samples."""
        if memory.device is None:
            memory.device = DeviceMemory(self._device, memory)
        units = {row.op: unit_name(row.op, program.dtype) for row in program.rows if row.op not in ON_THE_HOST}
        entries = self._device.load(list(units.values()))
        rows = [number for number, row in enumerate(program.rows) if row.op in units]
        bound = Bound(memory, memory.device, batch, {op: entries[unit] for op, unit in units.items()}, [], rows)
        bound.device.place_inputs()
        bound.launches = [self._launch(bound, program.rows[number]) for number in rows]
        return bound

    def rebind_inputs(self, bound: Bound) -> None:
        """Follow ``memory.inputs`` after the caller's arrays changed."""
        bound.device.place_inputs()
        for place, number in enumerate(bound.rows):
            row = bound.memory.program.rows[number]
            if any(operand is not None and operand.segment == "inputs" for operand in row.operands):
                launch = self._launch(bound, row)
                if launch != bound.launches[place]:
                    bound.launches[place], bound.graph = launch, None

    def _launch(self, bound: Bound, row: Row) -> tuple[Any, int, tuple[int | float, ...]]:
        """Entry, blocks and arguments of one row; see `fastnn_kernels.cuda.adapters`."""
        memory, batch = bound.memory, bound.batch
        addresses = [bound.device.address(operand) for operand in row.operands]
        arguments = (_status_address(bound), *addresses, *sizes_of(row, memory, batch), *attributes_of(row, memory, batch))
        return bound.entries[row.op], self._blocks(row, memory, batch), arguments

    def _blocks(self, row: Row, memory: Memory, batch: int) -> int:
        if not row.instruction.parallel:
            return 1
        worked_on = [operand for operand in row.operands if operand is not None and operand.segment not in ("inputs", "scratch")]
        elements = max(prod(memory.shape(operand, batch)) for operand in worked_on)
        return max(1, min(self._most_blocks, -(-elements // ELEMENTS_PER_BLOCK)))

    def run(self, bound: Bound, steps: int, first_row: int = 0, workers: int | None = None) -> Stop | None:
        """Run ``steps`` steps, the first one from ``first_row``; returns ``(step, row)`` where a status stopped it, or None.

        ``workers`` is for engines that split the work among threads.
        """
        memory, device = bound.memory, bound.device
        control = memory.segments["control"][: CONTROL_WORDS * 8].view(np.int64)
        if control[STEP] < 0:
            self._shuffle(bound)
        begun = int(control[STEP]) + (0 if self._resumes(bound, first_row) else 1)
        with memory.lent():
            device.send(steps, self._resumes(bound, first_row))
            try:
                self._launch_all(bound, steps, first_row)
            finally:
                device.fetch()
        return None if control[STATUS] == STATUS_OK else (int(control[STEP]) - begun, _stopped_row(memory))

    def _resumes(self, bound: Bound, first_row: int) -> bool:
        """Whether a run from ``first_row`` goes on with a step that has been counted."""
        return any(row.op == "next_batch" for row in bound.memory.program.rows[:first_row])

    def _shuffle(self, bound: Bound) -> None:
        """What the CPU does where a pass begins."""
        for row in bound.memory.program.rows:
            if row.op in ON_THE_HOST:
                names = [spec.name for spec in row.instruction.operands]
                views = [bound.memory.view(operand, bound.batch) for operand in row.operands]
                execute(row.op, dict(zip(names, views, strict=True)))
                bound.device.send_again(operand_called(row, "index"))

    def _launch_all(self, bound: Bound, steps: int, first_row: int) -> None:
        stream = bound.device.stream
        if first_row:
            for number, launch in zip(bound.rows, bound.launches, strict=True):
                if number >= first_row:
                    stream.launch(*launch)
            steps -= 1
        if steps == 1 and not bound.ran:  # a graph would cost more than it saves
            for launch in bound.launches:
                stream.launch(*launch)
        elif steps:
            if bound.graph is None:
                bound.graph = stream.capture(bound.launches)
            bound.graph.launch(steps)
        bound.ran = True


def _status_address(bound: Bound) -> int:
    """Address of the status word that a row of the program may set; 0 when none does."""
    stopping = next((row for row in bound.memory.program.rows if row.instruction.may_stop), None)
    return 0 if stopping is None else bound.device.address(operand_called(stopping, "control")) + 8 * STATUS


def _stopped_row(memory: Memory) -> int:
    """The row that set the status: the last one whose total counts this step's samples, as the first one's does."""
    rows = [number for number, row in enumerate(memory.program.rows) if row.instruction.may_stop]
    counts = [memory.view(operand_called(memory.program.rows[number], "total"), 1)[1] for number in rows]  # type: ignore[index]
    return max(number for number, count in zip(rows, counts, strict=True) if count == counts[0])
