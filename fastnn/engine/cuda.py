"""The CUDA engine: programs bound to a GPU's memory, run step by step without Python in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType

from fastnn_kernels.cpu import objects
from fastnn_kernels.cpu.execute import execute
from fastnn_kernels.cuda.grid import BLOCKS_PER_MULTIPROCESSOR, scratch_for
from fastnn_kernels.instructions import INSTRUCTIONS, STEP
from fastnn_kernels.units import INTERPRETER, unit_name

from fastnn.config import FLOAT_TYPES
from fastnn.engine.base import Progress, Stop
from fastnn.engine.cuda_steps import Launches, OneBlock, interpreter_unit, one_block_pays, run_windows
from fastnn.engine.device_memory import DeviceMemory
from fastnn.engine.rows import largest, operand_called
from fastnn.engine.windows import windows_for
from fastnn.memory import Memory, lent
from fastnn.program import Program

ON_THE_HOST = frozenset({"shuffle"})
"""Instructions that the CPU runs where a pass begins: thousands of steps in a row, and one thread of a GPU is slow."""


@dataclass(slots=True)
class Bound:
    """A program bound to a memory for one batch size: its steps over the samples, or over each of two windows on them."""

    memory: Memory
    device: DeviceMemory
    batch: int
    frames: list[Memory] = field(default_factory=list)
    steps: list[Launches | OneBlock] = field(default_factory=list)


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
    takes_device_arrays = True

    def __init__(self, device: ModuleType) -> None:
        if reason := device.why_not():
            raise RuntimeError(f"device 'cuda' cannot be used: {reason}")
        self._device, self._ready = device, cache(device.ready)
        self._most_blocks = BLOCKS_PER_MULTIPROCESSOR * int(device.properties()["multiprocessors"])

    def scratch_elements(self, program: Program, batch: int) -> int:
        """Elements of the ``scratch`` segment: what the largest row needs, 0 when no row has a scratch operand."""
        return max((scratch_for(row.op, program.dtype, *largest(row, batch)) for row in program.rows), default=0)

    def prepare(self, programs: Sequence[Program], progress: Progress | None = None) -> None:
        """Compile, or load from the cache, what ``programs`` need."""
        units = {unit_name(row.op, program.dtype): row.op in ON_THE_HOST for program in programs for row in program.rows}
        self._device.load([unit for unit, on_the_host in units.items() if not on_the_host], progress)
        objects.load([unit for unit, on_the_host in units.items() if on_the_host], progress)

    def units(self) -> list[str]:
        """Each instruction for each float type, and the interpreters for small programs."""
        units = [unit_name(op, dtype) for dtype in FLOAT_TYPES for op in INSTRUCTIONS if op not in ON_THE_HOST]
        return [*dict.fromkeys(units), *(f"{INTERPRETER}-{dtype}" for dtype in FLOAT_TYPES)]

    def load(self, units: Sequence[str], progress: Progress | None = None) -> None:
        """Compile, or load from the cache, these units."""
        self._device.load(units, progress)

    def bind(self, program: Program, memory: Memory, batch: int) -> Bound:
        """``program`` over ``memory`` for batches of ``batch`` samples.

        A small program runs in one block where that was compiled before, as `warmup` does: it takes minutes.
        """
        if memory.device is None:
            memory.device = DeviceMemory(self._device, memory)
        bound = Bound(memory, memory.device, batch)
        self.rebind_inputs(bound)
        return bound

    def rebind_inputs(self, bound: Bound) -> None:
        """Follow ``memory.inputs`` after the caller's arrays changed."""
        device = bound.device
        if not device.decided:
            device.windows = windows_for(self._device, bound.memory, device)
            device.decided = True
        device.place_inputs()
        frames = [bound.memory] if device.windows is None else device.windows.frames
        if frames == bound.frames:
            for steps in bound.steps:
                steps.rebind_inputs()
        else:
            bound.frames, bound.steps = frames, [self._steps(bound, frame) for frame in frames]

    def _steps(self, bound: Bound, memory: Memory) -> Launches | OneBlock:
        rows = [number for number, row in enumerate(memory.program.rows) if row.op not in ON_THE_HOST]
        if one_block_pays(memory, bound.batch, rows) and self._ready(interpreter_unit(memory)):
            return OneBlock(self._device, memory, bound.device, bound.batch, rows)
        return Launches(self._device, memory, bound.device, bound.batch, rows, self._most_blocks)

    def run(self, bound: Bound, steps: int, first_row: int = 0, workers: int | None = None) -> Stop | None:
        """Run ``steps`` steps, the first one from ``first_row``; returns ``(step, row)`` where a status stopped it, or None.

        ``workers`` is for engines that split the work among threads.
        """
        resumed = any(row.op == "next_batch" for row in bound.memory.program.rows[:first_row])
        if bound.device.control[STEP] < 0:
            self._begin_pass(bound)
        with lent(bound.memory.buffers):
            if bound.device.windows is not None:
                return run_windows(bound.device, bound.device.windows, bound.steps, bound.batch, steps, first_row, resumed)
            with bound.device.running(steps, bound.batch, resumed):
                bound.steps[0].run(steps, first_row, resumed)
        return bound.steps[0].stop()

    def _begin_pass(self, bound: Bound) -> None:
        """What the CPU does where a pass begins."""
        for row in bound.memory.program.rows:
            if row.op in ON_THE_HOST:
                names = [spec.name for spec in row.instruction.operands]
                views = [bound.memory.view(operand, bound.batch) for operand in row.operands]
                execute(row.op, dict(zip(names, views, strict=True)))
                bound.device.send_again(operand_called(row, "index"))
