"""A Session: a program on an engine, bound to arrays, run over their samples batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastnn_kernels.instructions import CONTROL_WORDS, DRAWS, ITERATIONS, NEXT_POSITION, STATUS, STEP
from numpy.typing import NDArray

from fastnn.engine.base import Engine, Stop
from fastnn.memory import Buffer, Memory
from fastnn.program import Program
from fastnn.random import Draws, reserve
from fastnn.variables import Variable


class Session:
    """Runs one program over samples: whole batches, then the last short one.

    Parameters
    ----------
    engine : Engine
        Where it runs.
    program : Program
        What runs.
    weights : sequence of Variable
        Those behind ``program.weights``; used in place.
    batch : int
        Samples a batch.
    shared : dict of str to Buffer, optional
        Segments that outlive the session, such as the optimizer's ``slots``.
    draws : sequence of Draws
        Those of the layers, where the program draws.
    """

    def __init__(
        self,
        engine: Engine,
        program: Program,
        weights: Sequence[Variable],
        batch: int,
        shared: dict[str, Buffer] | None = None,
        draws: Sequence[Draws] = (),
    ) -> None:
        self.engine, self.program, self.batch = engine, program, batch
        scratch = engine.scratch_elements(program, batch)
        arenas = list(dict.fromkeys(variable.buffer for variable in weights if variable.buffer is not None))
        arrays = [variable.memory for variable in weights]
        self.memory = Memory(program, batch, arrays, scratch=scratch, shared=shared, arenas=arenas)
        self.control = self.memory.segments["control"][: CONTROL_WORDS * 8].view(np.int64)
        self._totals = self.memory.segments["totals"].view(np.float64).reshape(-1, 2)
        self._places = {slot.name: place for place, slot in enumerate(program.inputs)}
        self._required = sorted(
            {
                operand.offset
                for row in program.rows
                for spec, operand, _, _ in row.accesses()
                if operand.segment == "inputs" and not spec.optional
            }
        )
        self._no_inputs = (None,) * len(program.inputs)
        self._draws = list(draws) if program.draws else []
        self._bound: dict[int, Any] = {}
        self._stale: set[int] = set()
        self.samples = self.step = 0
        self._stop: Stop | None = None

    def set_inputs(self, **arrays: NDArray[Any] | None) -> None:
        """Point the program at the caller's C-contiguous arrays, by slot name; slots it does not use are passed over."""
        for name, array in arrays.items():
            place = self._places.get(name)
            if place is not None:
                self.memory.inputs[place] = array
        self._stale = set(self._bound)
        if self.memory.device is not None:
            self.memory.device.inputs_changed()

    def release_inputs(self) -> None:
        """Let go of the caller's arrays; `set_inputs` comes before the next run."""
        self.memory.inputs[:] = self._no_inputs
        if self.memory.device is not None:
            self.memory.device.inputs_changed()

    def start(self, samples: int) -> None:
        """Go back to the first of ``samples`` samples, totals at zero."""
        self.samples, self.step, self._stop = samples, 0, None
        self.control[STEP], self.control[NEXT_POSITION], self.control[STATUS] = -1, 0, 0
        self.clear_totals()

    def clear_totals(self) -> None:
        """Begin the sums of losses and metrics anew."""
        self._totals[...] = 0.0

    @property
    def steps(self) -> int:
        """Batches in the samples."""
        return -(-self.samples // self.batch)

    @property
    def stopped(self) -> int | None:
        """The step in which a non-finite loss stopped the run before its update; `run` resumes it."""
        return None if self._stop is None else self.step

    @property
    def iterations(self) -> int:
        """Updates the optimizer has made."""
        return int(self.control[ITERATIONS])

    @iterations.setter
    def iterations(self, value: int) -> None:
        self.control[ITERATIONS] = value

    def run(self, steps: int | None = None, workers: int | None = None) -> int:
        """Run up to ``steps`` steps (None: to the end of the samples).

        Returns
        -------
        int
            Steps completed; fewer than asked when a loss was not finite, see `stopped`.
        """
        left = self.steps - self.step
        left = left if steps is None else min(steps, left)
        before = self.step
        whole = min(left, self.samples // self.batch - self.step)
        if whole > 0 and not self._run(self.batch, whole, workers):
            return self.step - before
        if left > max(whole, 0):
            self._run(self.samples % self.batch, 1, workers)
        return self.step - before

    def repeat(self) -> None:
        """Run the first batch, a whole one, again over the same arrays; for programs that no status stops."""
        self.control[NEXT_POSITION] = 0
        self.engine.run(self._bound[self.batch], 1)

    def _run(self, batch: int, steps: int, workers: int | None) -> bool:
        """Run ``steps`` steps of ``batch`` samples; whether all of them ended."""
        bound = self._bind(batch)
        first_row = 0 if self._stop is None else self._stop[1] + 1
        if self._draws:
            self._number_draws(steps)
        self.control[STATUS] = 0
        self._stop = self.engine.run(bound, steps, first_row, workers)
        self.step += steps if self._stop is None else self._stop[0]
        return self._stop is None

    def _number_draws(self, steps: int) -> None:
        """Let each of the next ``steps`` steps draw what none has drawn before; one that is resumed goes on with its own draw."""
        step = int(self.control[STEP])
        if self._stop is None:
            self.control[DRAWS] = reserve(self._draws, steps) - (step + 1)
        else:
            reserve(self._draws, 0, least=int(self.control[DRAWS]) + step + steps)

    def _bind(self, batch: int) -> Any:
        bound = self._bound.get(batch)
        if bound is None or batch in self._stale:
            self._check_inputs()
        if bound is None:
            bound = self._bound[batch] = self.engine.bind(self.program, self.memory, batch)
        elif batch in self._stale:
            self.engine.rebind_inputs(bound)
        self._stale.discard(batch)
        return bound

    def _check_inputs(self) -> None:
        for place in self._required:
            if self.memory.inputs[place] is None:
                raise ValueError(
                    f"the {self.program.kind} program needs the input {self.program.inputs[place].name!r}: set_inputs first"
                )

    def totals(self) -> dict[str, tuple[float, float]]:
        """``{name: (sum, count)}`` since `start`."""
        return {name: (float(pair[0]), float(pair[1])) for name, pair in zip(self.program.totals, self._totals, strict=True)}

    def gradients(self) -> list[NDArray[Any]]:
        """Copies of the gradients of the trained weights, in order."""
        grads = self.memory.segments["grads"]
        found = []
        for slot in self.program.weights:
            if slot.grad is not None:
                size = int(np.prod(slot.shape)) * self.program.item_bytes
                found.append(grads[slot.grad : slot.grad + size].view(self.program.dtype).reshape(slot.shape).copy())
        return found
