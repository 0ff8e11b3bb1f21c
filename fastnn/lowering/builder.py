"""The Builder: emits rows, hands out tensors, and keeps the books of which gradient has been written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import final

from fastnn_kernels.instructions import CONTROL_WORDS, INSTRUCTIONS, RATES

from fastnn.lowering import passes
from fastnn.program import BATCH, SAMPLES, SCRATCH, InputSlot, Operand, Program, Row, Symbol, WeightSlot, item_bytes
from fastnn.variables import Layout, Variable

CONTROL = Operand("control", 0, (CONTROL_WORDS,), "i8")
RATES_OPERAND = Operand("control", CONTROL_WORDS * 8, (RATES,), "f8")
SCRATCH_OPERAND = Operand("scratch", 0, (SCRATCH,), "f")

BUFFER_STEP = 4
"""Bytes: what the size of a tensor's buffer is a multiple of, so that a float lies well behind an odd number of bfloat16."""

ROUNDED_STEP = 64
"""Bytes: what a rounded weight's place is a multiple of."""

TRAINING = ("train", "gradients")
FORWARD = ("predict", "call")
DROPPING = (*TRAINING, "call")
"""Kinds of programs: those with gradients, those that write outputs to arrays of the caller, those in which layers drop values."""


@final
@dataclass(frozen=True, slots=True)
class Tensor:
    """A value with one entry per sample: ``shape`` is one sample's. Tensors that are reshapes of each other share a buffer."""

    buffer: int
    shape: tuple[int, ...]
    dtype: str = "f"
    trained: bool = False

    @property
    def rows(self) -> int:
        """Rows a sample when the last axis is the row."""
        return math.prod(self.shape[:-1])

    @property
    def vector(self) -> Operand:
        """The tensor as one axis."""
        return Operand("activations", self.buffer, (BATCH * math.prod(self.shape),), self.dtype)

    @property
    def matrix(self) -> Operand:
        """The tensor as rows of its last axis."""
        return Operand("activations", self.buffer, (BATCH * self.rows, self.shape[-1]), self.dtype)


class Builder:
    """Builds one Program.

    Parameters
    ----------
    kind : str
        ``"train"``, ``"gradients"``, ``"test"``, ``"predict"`` or ``"call"``.
    dtype : str
        The program's own dtype.
    variables : sequence of Variable
        The model's weights, in order; an arena holds them.
    """

    def __init__(self, kind: str, dtype: str, variables: Sequence[Variable]) -> None:
        self.kind, self.dtype = kind, dtype
        self.layout = Layout.of(variables)
        self.training, self.drops = kind in TRAINING, kind in DROPPING
        self._weights = {id(variable): index for index, variable in enumerate(variables)}
        self._slots = tuple(
            WeightSlot(variable.path, variable.shape, offset)
            for variable, offset in zip(variables, self.layout.offsets, strict=True)
        )
        self._prologue: list[Row] = []
        self._rows: list[Row] = []
        self._buffers: list[int] = []
        self._inputs: list[InputSlot] = []
        self._taken: dict[str, Tensor] = {}
        self._sources: dict[int, tuple[str, Tensor, Tensor]] = {}
        self._rounded: dict[int, Tensor] = {}
        self._rounded_weights: dict[int, Operand] = {}
        self._rounded_bytes = 0
        self._gradients: dict[int, Tensor] = {}
        self._written_weights: set[int] = set()
        self._tape: list[Callable[[], None]] = []
        self._totals: list[str] = []
        self._dropouts = 0
        self._control_bytes = RATES_OPERAND.offset + RATES * 8

    # -- rows and places -------------------------------------------------------------------------------------------------

    def emit(self, op: str, *, early: bool = False, **values: Operand | int | float | Symbol | None) -> None:
        """Append one row; operands and attributes go by the names of the contract line. ``early``: before all other rows."""
        instruction = INSTRUCTIONS[op]
        names = [spec.name for spec in instruction.operands] + [name for name, _ in instruction.attributes]
        if unknown := set(values) - set(names):
            raise TypeError(f"instruction {op!r} has no {sorted(unknown)}; it is {instruction.contract!r}")
        operands = tuple(values.get(spec.name) for spec in instruction.operands)
        attributes = tuple(values[name] for name, _ in instruction.attributes)
        (self._prologue if early else self._rows).append(Row(op, operands, attributes))  # type: ignore[arg-type]

    def tensor(self, shape: Sequence[int], dtype: str = "f", *, trained: bool = False) -> Tensor:
        """A new tensor with a buffer of its own."""
        size = item_bytes(dtype, self.dtype) * math.prod(shape)
        self._buffers.append(-(-size // BUFFER_STEP) * BUFFER_STEP)
        return Tensor(len(self._buffers) - 1, tuple(shape), dtype, trained and self.training)

    def input(self, name: str, shape: Sequence[int], dtype: str = "f") -> Tensor:
        """This batch's rows of the caller's array ``name``; ``shape`` is one sample's."""
        if name not in self._taken:
            self._taken[name] = tensor = self.tensor(shape, dtype)
            row_bytes = self._buffers[tensor.buffer]
            data = self.slot(name, tuple(shape), dtype, (SAMPLES, row_bytes), "u1")
            index = self.slot("index", (), "i8", (SAMPLES,), "i8")
            out = Operand("activations", tensor.buffer, (BATCH, row_bytes), "u1")
            self.emit("take_rows", early=True, data=data, index=index, control=CONTROL, out=out)
        return self._taken[name]

    def slot(self, name: str, shape: tuple[int, ...], dtype: str, as_shape: tuple[int | Symbol, ...], as_dtype: str) -> Operand:
        """The caller's whole array ``name`` as an operand of shape ``as_shape``."""
        slot = InputSlot(name, shape, dtype)
        if slot not in self._inputs:
            self._inputs.append(slot)
        return Operand("inputs", self._inputs.index(slot), as_shape, as_dtype)

    def output(self, name: str, tensor: Tensor) -> None:
        """Write ``tensor`` to this batch's rows of the caller's array ``name``."""
        row_bytes = self._buffers[tensor.buffer]
        data = self.slot(name, tensor.shape, tensor.dtype, (SAMPLES, row_bytes), "u1")
        self.emit("put_rows", x=Operand("activations", tensor.buffer, (BATCH, row_bytes), "u1"), control=CONTROL, data=data)

    def scalar(self) -> Operand:
        """One number of the program's dtype, in ``control``."""
        self._control_bytes += 8
        return Operand("control", self._control_bytes - 8, (1,), "f")

    def total(self, name: str) -> Operand:
        """A new ``(sum, count)`` pair called ``name``."""
        self._totals.append(name)
        return Operand("totals", 16 * (len(self._totals) - 1), (2,), "f8")

    def next_dropout(self) -> int:
        """A number for each dropout of the program, which tells their random numbers apart."""
        self._dropouts += 1
        return self._dropouts - 1

    def weight(self, variable: Variable) -> Operand:
        """A weight as an operand."""
        return Operand("params", self._weights[id(variable)], variable.shape, "f")

    # -- bfloat16 --------------------------------------------------------------------------------------------------------

    def rounded(self, tensor: Tensor) -> Tensor:
        """``tensor`` in bfloat16: rounded once, however many products read it."""
        if tensor.buffer not in self._rounded:
            self._rounded[tensor.buffer] = out = self.tensor(tensor.shape, "b2")
            self.emit("to_bfloat16", x=tensor.vector, out=out.vector)
        return replace(self._rounded[tensor.buffer], shape=tensor.shape)

    def rounded_weight(self, variable: Variable) -> Operand:
        """A weight in bfloat16: rounded once a step."""
        index, size = self._weights[id(variable)], math.prod(variable.shape)
        if index not in self._rounded_weights:
            place = self._rounded_bytes
            self._rounded_weights[index] = Operand("rounded", place, variable.shape, "b2")
            self._rounded_bytes += -(-size * item_bytes("b2", self.dtype) // ROUNDED_STEP) * ROUNDED_STEP
            x, out = Operand("params", index, (size,), "f"), Operand("rounded", place, (size,), "b2")
            self.emit("to_bfloat16", x=x, out=out)
        return self._rounded_weights[index]

    # -- what an activation was made of ----------------------------------------------------------------------------------

    def remember_source(self, name: str, source: Tensor, out: Tensor) -> None:
        """Note that ``out`` is the activation ``name`` of ``source``."""
        self._sources[out.buffer] = (name, source, out)

    def source(self, output: Tensor, name: str) -> Tensor | None:
        """The tensor whose activation ``name`` is ``output``, if there is one."""
        found, source, out = self._sources.get(output.buffer, ("", output, output))
        return source if found == name and out.shape == output.shape else None

    # -- gradients -------------------------------------------------------------------------------------------------------

    def trains(self, *variables: Variable | None) -> bool:
        """Whether any of ``variables`` is trained by this program."""
        return self.training and any(variable is not None and variable.trainable for variable in variables)

    def record(self, backward: Callable[[], None]) -> None:
        """Add a backward step; the last one recorded runs first."""
        self._tape.append(backward)

    def backward(self) -> None:
        """Emit every backward step: consumers before producers, so that a tensor's gradient is complete when it is read."""
        for step in reversed(self._tape):
            step()

    def gradient(self, tensor: Tensor) -> Tensor | None:
        """The gradient that has reached ``tensor``, in its shape; None when none has."""
        gradient = self._gradients.get(tensor.buffer)
        return None if gradient is None else replace(gradient, shape=tensor.shape)

    def gradient_into(self, tensor: Tensor) -> tuple[Tensor | None, int]:
        """Where to put a gradient of ``tensor`` and whether to accumulate: the first writes. None when nothing trains it."""
        if not tensor.trained:
            return None, 0
        accumulate = int(tensor.buffer in self._gradients)
        if not accumulate:
            self._gradients[tensor.buffer] = self.tensor(tensor.shape)
        return self.gradient(tensor), accumulate

    def weight_gradient(self, variable: Variable) -> tuple[Operand | None, int]:
        """Where to put a gradient of ``variable`` and whether to accumulate; None when this program does not train it."""
        index = self._weights[id(variable)]
        offset = self.layout.offsets[index]
        if offset is None or not self.training:
            return None, 0
        accumulate = int(index in self._written_weights)
        self._written_weights.add(index)
        return Operand("grads", offset, variable.shape, "f"), accumulate

    def unreached(self) -> list[str]:
        """Paths of the trainable weights that no gradient has reached."""
        return [slot.name for index, slot in enumerate(self._slots) if slot.grad is not None and index not in self._written_weights]

    # -- the program -----------------------------------------------------------------------------------------------------

    def finish(self, slots: tuple[tuple[str, int, float], ...] = ()) -> Program:
        """The verified Program: unused rows pruned, activations fused, memory planned, barriers placed."""
        rows = passes.fuse(passes.prune(self._prologue + self._rows))
        rows, inputs = passes.used_inputs(rows, self._inputs)
        rows, activation_bytes = passes.plan(rows, self._buffers)
        sizes = {
            "grads": self.layout.bytes if self.training else 0,
            "slots": len(slots) * self.layout.bytes,
            "totals": 16 * len(self._totals),
            "control": self._control_bytes,
            "activations": activation_bytes,
            "rounded": self._rounded_bytes,
        }
        program = Program(
            self.kind, self.dtype, (), tuple(inputs), self._slots, totals=tuple(self._totals), slots=slots, bytes=sizes
        )
        program = replace(program, rows=tuple(passes.place_barriers(rows, program)))
        program.verify()
        return program
