"""The CPU engine: binds programs to tables of addresses and runs them on a team of threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from fastnn_kernels.cpu import cost, objects, team
from fastnn_kernels.cpu.execute import fill_row
from fastnn_kernels.cpu.matmul.blocking import SCRATCH_ELEMENTS
from fastnn_kernels.instructions import FLAG_BARRIER, FLAG_STATUS, ROW_OPERANDS, ROW_WORDS, STATUS
from fastnn_kernels.operands import address, attribute_word
from fastnn_kernels.units import INTERPRETER, all_units, unit_name
from numpy.typing import NDArray

from fastnn import config
from fastnn.engine.base import Progress, Stop
from fastnn.engine.rows import attributes_of, dimensions, operand_called, sizes_of, work_of
from fastnn.memory import AWAY, Memory, aligned
from fastnn.program import SAMPLES, Program, Row, Symbol

LEAST_WORKERS = 8
"""Scratch is there for at least so many workers; pages that are never touched cost nothing."""

MOST_WORKERS = 1024
"""Limit of a program without scratch."""


@dataclass(frozen=True, slots=True)
class Patch:
    """Where an input's address stands in the table, and the words that hold its samples: ``(word, multiple)``."""

    place: int
    word: int
    samples: tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Bound:
    """A program bound to a memory for one batch size: its table, and what changes with the caller's arrays."""

    memory: Memory
    table: NDArray[np.int64]
    address: int
    rows: int
    patches: list[Patch]
    status: int
    workers: int
    most_workers: int
    steps_alone: float
    """A run of fewer steps than that is one worker's."""


class CpuEngine:
    """Runs programs on this machine's cores; see `fastnn_kernels.cpu`."""

    name = "cpu"
    takes_device_arrays = False

    def scratch_elements(self, program: Program, batch: int) -> int:
        """Elements of the ``scratch`` segment: a constant for each worker; 0 when no row has a scratch operand."""
        uses = any(operand is not None and operand.segment == "scratch" for row in program.rows for operand in row.operands)
        return SCRATCH_ELEMENTS * max(config.num_threads(), LEAST_WORKERS) if uses else 0

    def prepare(self, programs: Sequence[Program], progress: Progress | None = None) -> None:
        """Compile, or load from the cache, what ``programs`` need."""
        units = [unit_name(row.op, program.dtype) for program in programs for row in program.rows]
        objects.load([INTERPRETER, *units], progress)

    def units(self) -> list[str]:
        """The interpreter, and each instruction for each float type."""
        return all_units(config.FLOAT_TYPES)

    def load(self, units: Sequence[str], progress: Progress | None = None) -> None:
        """Compile, or load from the cache, these units."""
        objects.load(units, progress)

    def bind(self, program: Program, memory: Memory, batch: int) -> Bound:
        """Fill a table with the addresses and sizes of ``program`` over ``memory`` for batches of ``batch`` samples."""
        units = {op: unit_name(op, program.dtype) for op in {row.op for row in program.rows}}
        adapters = objects.load(units.values())
        table = aligned(len(program.rows) * ROW_WORDS * 8).view(np.int64).reshape(-1, ROW_WORDS)
        for words, row in zip(table, program.rows, strict=True):
            flags = FLAG_BARRIER * row.barrier | FLAG_STATUS * row.instruction.may_stop
            addresses = [memory.address(operand) for operand in row.operands]
            sizes, values = sizes_of(row, memory, batch), _attribute_words(row, memory, batch)
            fill_row(words, adapters[units[row.op]], flags, addresses, sizes, values)
        patches = [patch for number, row in enumerate(program.rows) for patch in _patches(row, number * ROW_WORDS)]
        most_workers = memory.scratch_elements // SCRATCH_ELEMENTS if self.scratch_elements(program, batch) else MOST_WORKERS
        work, meetings = parallel_work(program, memory, batch), sum(row.barrier for row in program.rows)
        workers, steps_alone = cost.workers_for(work, meetings, most_workers), cost.RUN_NS / max(work, 1.0)
        status = _status_address(program, memory)
        return Bound(memory, table, table.ctypes.data, len(table), patches, status, workers, most_workers, steps_alone)

    def rebind_inputs(self, bound: Bound) -> None:
        """Follow ``memory.inputs`` after the caller's arrays changed: their addresses and their numbers of samples."""
        words, inputs = bound.table.reshape(-1), bound.memory.inputs
        for patch in bound.patches:
            array = inputs[patch.place]
            words[patch.word] = 0 if array is None else address(array)
            for word, multiple in patch.samples:
                words[word] = 0 if array is None else len(array) * multiple

    def run(self, bound: Bound, steps: int, first_row: int = 0, workers: int | None = None) -> Stop | None:
        """Run ``steps`` steps, the first one from ``first_row``; returns ``(step, row)`` where a status stopped it, or None."""
        if AWAY:
            bound.memory.come_home()
        rows = bound.rows
        if workers is None:
            workers = 1 if bound.workers == 1 or steps < bound.steps_alone else min(bound.workers, config.num_threads())
        elif workers > bound.most_workers:
            workers = bound.most_workers
        position = team.run(bound.address, rows, steps, first_row=first_row, status=bound.status, workers=workers)
        return None if position == steps * rows else divmod(position, rows)


def _attribute_words(row: Row, memory: Memory, batch: int) -> list[int]:
    kinds = [kind for _, kind in row.instruction.attributes]
    return [attribute_word(kind, value) for kind, value in zip(kinds, attributes_of(row, memory, batch), strict=True)]


def _patches(row: Row, start: int) -> Iterator[Patch]:
    """What `CpuEngine.rebind_inputs` writes into the row that begins at word ``start`` of the table."""
    first_size = start + ROW_OPERANDS + len(row.operands)
    places = list(enumerate(dimensions(row), start=first_size))
    for index, operand in enumerate(row.operands):
        if operand is not None and operand.segment == "inputs":
            samples = tuple(
                (word, size.multiple)
                for word, (size, owner) in places
                if owner is operand and isinstance(size, Symbol) and size.name == SAMPLES.name
            )
            yield Patch(operand.offset, start + ROW_OPERANDS + index, samples)


def _status_address(program: Program, memory: Memory) -> int:
    """Address of the status word that a row of ``program`` may set; 0 when none does."""
    for row in program.rows:
        if row.instruction.may_stop:
            return memory.address(operand_called(row, "control")) + 8 * STATUS
    return 0


def parallel_work(program: Program, memory: Memory, batch: int) -> float:
    """Nanoseconds that one core needs, roughly, for what workers can share of a step."""
    return sum(_nanoseconds(row, memory, batch) for row in program.rows if row.instruction.parallel)


def _nanoseconds(row: Row, memory: Memory, batch: int) -> float:
    """Rough time of one row on one core."""
    multiply_adds, moved = work_of(row, memory, batch)
    return cost.matmul_ns(multiply_adds, memory.program.item_bytes) + cost.streaming_ns(moved)
