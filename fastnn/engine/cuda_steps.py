"""Two ways to run steps on a GPU: a graph with a launch for each row, or one block of threads that goes through a table of rows.

Both give the same bits, because results do not depend on the number of blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from types import ModuleType
from typing import Any

import numpy as np
from fastnn_kernels.cuda.grid import blocks_for
from fastnn_kernels.cuda.interpreter import NUMBERS
from fastnn_kernels.cuda.matmul.blocking import ENOUGH_WORK
from fastnn_kernels.instructions import (
    CONTROL_WORDS,
    FLAG_STATUS,
    NEXT_POSITION,
    POSITION,
    ROW_WORDS,
    STATUS,
    STATUS_OK,
    STEP,
)
from fastnn_kernels.operands import attribute_word
from fastnn_kernels.units import INTERPRETER, unit_name
from numpy.typing import NDArray

from fastnn.engine.base import Stop
from fastnn.engine.device_memory import DeviceMemory
from fastnn.engine.rows import attributes_of, operand_called, sizes_of, work_of
from fastnn.engine.windows import Windows
from fastnn.memory import Memory
from fastnn.program import Row

LAUNCH_NS, MULTIPLY_ADDS_PER_NS, BYTES_PER_NS = 1000.0, 40.0, 40.0
"""What a row in a graph costs more than one in a table, and the speed of one multiprocessor: estimates, no GPU was measured."""


class Launches:
    """A launch for each row; whole steps repeat as a graph.

    Parameters
    ----------
    gpu : module
        `fastnn_kernels.cuda.device`, or one like it.
    memory, device : Memory, DeviceMemory
        Both sides of what the program works on.
    batch : int
        Samples of a step.
    rows : sequence of int
        Numbers of the program's rows that run here.
    most_blocks : int
        Of a launch.
    """

    def __init__(
        self, gpu: ModuleType, memory: Memory, device: DeviceMemory, batch: int, rows: Sequence[int], most_blocks: int
    ) -> None:
        self._memory, self._device, self._batch, self._rows, self._most_blocks = memory, device, batch, rows, most_blocks
        program = memory.program
        units = {op: unit_name(op, program.dtype) for op in {program.rows[number].op for number in rows}}
        entries = gpu.load(list(units.values()))
        self._entries = {op: entries[unit] for op, unit in units.items()}
        stopping = [row for row in program.rows if row.instruction.may_stop]
        self._status = device.address(operand_called(stopping[0], "control"), ()) + 8 * STATUS if stopping else 0
        self._control: NDArray[np.int64] = memory.segments["control"][: CONTROL_WORDS * 8].view(np.int64)
        self._launches = [self._launch(program.rows[number]) for number in rows]
        self._graph: Any = None
        self._ran, self._begun = False, 0

    def _launch(self, row: Row) -> tuple[Any, int, tuple[int | float, ...]]:
        """Entry, blocks and arguments of one row; see `fastnn_kernels.cuda.adapters`."""
        addresses = [self._device.address(operand, self._memory.inputs) for operand in row.operands]
        sizes, values = sizes_of(row, self._memory, self._batch), attributes_of(row, self._memory, self._batch)
        arguments = (self._status, *addresses, *sizes, *values)
        return self._entries[row.op], self._blocks(row, sizes, values), arguments

    def _blocks(self, row: Row, sizes: Sequence[int], values: Sequence[int | float]) -> int:
        worked_on = [operand for operand in row.operands if operand is not None and operand.segment not in ("inputs", "scratch")]
        elements = max(prod(self._memory.shape(operand, self._batch)) for operand in worked_on)
        letters, names = row.instruction.dimensions, [name for name, _ in row.instruction.attributes]
        named = dict(zip(letters, sizes, strict=True)), dict(zip(names, values, strict=True))
        return blocks_for(row.op, self._memory.program.dtype, *named, elements, self._most_blocks)

    def rebind_inputs(self) -> None:
        """Follow ``memory.inputs``; the graph stays when nothing moved."""
        for place, number in enumerate(self._rows):
            row = self._memory.program.rows[number]
            if any(operand is not None and operand.segment == "inputs" for operand in row.operands):
                launch = self._launch(row)
                if launch != self._launches[place]:
                    self._launches[place], self._graph = launch, None

    def run(self, steps: int, first_row: int, resumed: bool) -> None:
        """Start ``steps`` steps, the first from ``first_row``; ``resumed``: that step has been counted before."""
        self._begun = int(self._control[STEP]) + (not resumed)
        stream = self._device.stream
        if first_row:
            for number, launch in zip(self._rows, self._launches, strict=True):
                if number >= first_row:
                    stream.launch(*launch)
            steps -= 1
        if steps == 1 and not self._ran:  # a graph would cost more than it saves
            for launch in self._launches:
                stream.launch(*launch)
        elif steps:
            if self._graph is None:
                self._graph = stream.capture(self._launches)
            self._graph.launch(steps)
        self._ran = True

    def stop(self) -> Stop | None:
        """Where a status stopped the run, once what the host reads is there."""
        return None if self._control[STATUS] == STATUS_OK else (int(self._control[STEP]) - self._begun, self._stopped_row())

    def _stopped_row(self) -> int:
        """The row that set the status: the last one whose total counts this step's samples, as the first one's does."""
        memory, program = self._memory, self._memory.program
        rows = [number for number in self._rows if program.rows[number].instruction.may_stop]
        counts = [memory.view(operand_called(program.rows[number], "total"), 1)[1] for number in rows]  # type: ignore[index]
        return max(number for number, count in zip(rows, counts, strict=True) if count == counts[0])


class OneBlock:
    """A table of rows, through which one block of threads goes step by step; see `fastnn_kernels.cuda.interpreter`.

    Parameters are those of `Launches`; there is one block.
    """

    def __init__(self, gpu: ModuleType, memory: Memory, device: DeviceMemory, batch: int, rows: Sequence[int]) -> None:
        self._memory, self._device, self._batch, self._rows = memory, device, batch, rows
        unit = interpreter_unit(memory)
        self._entry = gpu.load([unit])[unit]
        self._table = np.zeros((len(rows), ROW_WORDS), np.int64)
        self._copy, self._position = gpu.allocate(self._table.nbytes), gpu.allocate(8)
        self._stopped, self._end = np.zeros(1, np.int64), 0
        self.rebind_inputs()

    def rebind_inputs(self) -> None:
        """Fill the table anew and send it."""
        program = self._memory.program
        for words, number in zip(self._table, self._rows, strict=True):
            row = program.rows[number]
            kinds = [kind for _, kind in row.instruction.attributes]
            values = attributes_of(row, self._memory, self._batch)
            filled = [
                *(NUMBERS[row.op], FLAG_STATUS * row.instruction.may_stop),
                *(self._device.address(operand, self._memory.inputs) for operand in row.operands),
                *sizes_of(row, self._memory, self._batch),
                *(attribute_word(kind, value) for kind, value in zip(kinds, values, strict=True)),
            ]
            words[: len(filled)] = filled
        self._device.stream.upload(self._copy.address, self._table)

    def run(self, steps: int, first_row: int, resumed: bool) -> None:
        """Start ``steps`` steps, the first from ``first_row``."""
        rows, first = len(self._rows), sum(number < first_row for number in self._rows)
        self._end = steps * rows
        self._device.stream.launch(self._entry, 1, (self._copy.address, rows, first, steps, self._position.address))
        self._device.stream.download(self._stopped, self._position.address)

    def stop(self) -> Stop | None:
        """Where a status stopped the run, once what the host reads is there."""
        position = int(self._stopped[0])
        step, row = divmod(position, len(self._rows))
        return None if position == self._end else (step, self._rows[row])


def interpreter_unit(memory: Memory) -> str:
    """The unit that goes through tables of the memory's program."""
    return f"{INTERPRETER}-{memory.program.dtype}"


def one_block_pays(memory: Memory, batch: int, rows: Sequence[int]) -> bool:
    """Whether one block does a step's work before a graph has launched it, with the same bits: by small tiles."""
    work = [work_of(memory.program.rows[number], memory, batch) for number in rows]
    duration = sum(multiplied / MULTIPLY_ADDS_PER_NS + moved / BYTES_PER_NS for multiplied, moved in work)
    return duration < LAUNCH_NS * len(rows) and all(multiplied < ENOUGH_WORK for multiplied, _ in work)


def run_windows(
    device: DeviceMemory,
    windows: Windows,
    each: Sequence[Launches | OneBlock],
    batch: int,
    steps: int,
    first_row: int,
    resumed: bool,
) -> Stop | None:
    """Run ``steps`` steps over samples that pass through two windows, which ``each`` has; the rest as in `CudaEngine.run`."""
    done, control = 0, device.control
    if not resumed and control[NEXT_POSITION] == 0:
        windows.begin_pass()
    try:
        while done < steps:
            position = int(control[POSITION if resumed else NEXT_POSITION])
            number, rows = windows.around(position, batch)
            count = min(steps - done, (rows.stop - position) // batch)
            with device.running(count, batch, resumed, rows.start):
                windows.wait(device.stream)
                each[number].run(count, first_row, resumed)
                windows.fill_next(batch)
                windows.settle()
            windows.send_back(number, range(position, position + count * batch))
            if (stop := each[number].stop()) is not None:
                return done + stop[0], stop[1]
            done, first_row, resumed = done + count, 0, False
    finally:
        windows.settle()
    return None
