"""The Program: a model, its loss and its optimizer as a table of instructions. The seam between Keras's world and the engines.

Everything above a program is plain Python and knows no device; everything below it is compiled and knows no layer.
A program is data: `disassemble` prints it, `verify` checks it, an engine binds it to memory and runs it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
from fastnn_kernels.instructions import INSTRUCTIONS, PRODUCTS, Instruction, OperandSpec, dtype_name

SEGMENTS = ("params", "grads", "slots", "totals", "control", "inputs", "activations", "rounded", "scratch")
"""Where operands live; what an operand's ``offset`` means in each:

========== ====================================== =========================================
segment    holds                                  offset
========== ====================================== =========================================
params     the model's weights                    index into ``Program.weights``
grads      one gradient per trainable weight      byte offset
slots      the optimizer's state                  byte offset
totals     float64 sums of losses and metrics     byte offset
control    step counters, rates, status, scales   byte offset
inputs     the caller's arrays (x, y, out, ...)   index into ``Program.inputs``
activations tensors with one entry per sample     bytes per sample of the batch's capacity
rounded    weights in bfloat16, made once a step  byte offset
scratch    a kernel's private working memory      0
========== ====================================== =========================================
"""


def item_bytes(dtype: str, own: str) -> int:
    """Bytes of one element of a contract line's ``dtype`` in a program whose own dtype is ``own``."""
    return np.dtype(dtype_name(dtype, own)).itemsize


@dataclass(frozen=True, slots=True)
class Symbol:
    """A size known only when a program is bound: ``multiple`` times the batch size, the samples or the scratch length."""

    name: str
    multiple: int = 1

    def __mul__(self, factor: int) -> Symbol:
        return replace(self, multiple=self.multiple * factor)

    def __str__(self) -> str:
        return self.name if self.multiple == 1 else f"{self.multiple}{self.name}"


BATCH, SAMPLES, SCRATCH = Symbol("B"), Symbol("N"), Symbol("Z")

Size = int | Symbol


@dataclass(frozen=True, slots=True)
class Operand:
    """A typed place in a segment; see `SEGMENTS` for what ``offset`` means."""

    segment: str
    offset: int
    shape: tuple[Size, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.segment}[{self.offset}]({', '.join(map(str, self.shape))}){self.dtype}"


Access = tuple[OperandSpec, Operand, bool, bool]
"""An operand's place in the contract line, the operand, and whether the row reads and writes it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One instruction with its operands (``None``: absent) and attributes, in the order of its contract line."""

    op: str
    operands: tuple[Operand | None, ...]
    attributes: tuple[int | float | Symbol, ...] = ()
    barrier: bool = False
    _accesses: list[Access] = field(default_factory=list, init=False, repr=False, compare=False)

    @property
    def instruction(self) -> Instruction:
        """The row's entry in the instruction set."""
        return INSTRUCTIONS[self.op]

    def attribute(self, name: str) -> int | float | Symbol:
        """The value of the attribute called ``name``."""
        names = [key for key, _ in self.instruction.attributes]
        return self.attributes[names.index(name)]

    def accesses(self) -> list[Access]:
        """``(spec, operand, reads, writes)`` of every operand that is present; found once, every pass asks for it."""
        found = self._accesses
        if not found:
            instruction = self.instruction
            accumulate = instruction.accumulate is not None and bool(self.attributes[instruction.accumulate])
            found.extend(
                (spec, operand, spec.reads or (accumulate and spec.accumulates), spec.writes)
                for spec, operand in zip(instruction.operands, self.operands, strict=True)
                if operand is not None
            )
        return found


@dataclass(frozen=True, slots=True)
class InputSlot:
    """An array the caller supplies: ``shape`` is one sample's, ``dtype`` as in an `Operand`."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class WeightSlot:
    """A weight of the model: ``grad`` is its byte offset in ``grads``, or None when it is not trained."""

    name: str
    shape: tuple[int, ...]
    grad: int | None = None


@dataclass(frozen=True)
class Program:
    """Rows over segments. ``bytes`` holds each segment's size (of ``activations``: per sample of capacity).

    ``totals`` names the pairs of float64 in the ``totals`` segment, in order; ``slots`` names the optimizer's state vectors
    as ``(name, byte offset, initial value)``.
    """

    kind: str
    dtype: str
    rows: tuple[Row, ...]
    inputs: tuple[InputSlot, ...]
    weights: tuple[WeightSlot, ...]
    totals: tuple[str, ...] = ()
    slots: tuple[tuple[str, int, float], ...] = ()
    bytes: dict[str, int] = field(default_factory=dict)

    @property
    def item_bytes(self) -> int:
        """Bytes of one element of the program's own dtype."""
        return item_bytes("f", self.dtype)

    def operand_bytes(self, operand: Operand) -> int:
        """Size of ``operand`` in bytes; for ``activations`` per sample."""
        return item_bytes(operand.dtype, self.dtype) * math.prod(
            size.multiple if isinstance(size, Symbol) else size for size in operand.shape
        )

    @property
    def draws(self) -> bool:
        """Whether a step draws random numbers."""
        return any(row.op == "dropout" for row in self.rows)

    def disassemble(self) -> str:
        """The program as text: one line a row, ``|`` where the workers meet first.

        Returns
        -------
        str
            A header with the segments' sizes, then ``number, barrier, instruction, operands, attributes``.
        """
        sizes = ", ".join(f"{name} {size}" for name, size in self.bytes.items())
        lines = [f"{self.kind} program, {self.dtype}, {len(self.rows)} rows; bytes: {sizes} (activations per sample)"]
        for number, row in enumerate(self.rows):
            specs = row.instruction.operands
            operands = [f"{spec.name}={operand}" for spec, operand in zip(specs, row.operands, strict=True) if operand is not None]
            attributes = [f"{name}={value}" for (name, _), value in zip(row.instruction.attributes, row.attributes, strict=True)]
            lines.append(f"{number:3d} {'|' if row.barrier else ' '} {row.op:<28} {' '.join(operands + attributes)}")
        return "\n".join(lines)

    def verify(self) -> None:
        """Check every row against the instruction set and its segments.

        Raises
        ------
        ValueError
            Naming the row and what is wrong: an absent operand that is not optional, a dtype or rank that differs from the
            contract, a dimension letter with two sizes, a place outside its segment, an activation read before it is written.
        """
        written: set[tuple[int, int]] = set()
        for number, row in enumerate(self.rows):
            try:
                self._verify_contract(row)
                self._verify_places(row, written)
            except ValueError as error:
                raise ValueError(f"row {number} ({row.op}): {error}") from None

    def _verify_contract(self, row: Row) -> None:
        dims: dict[str, Size] = {}
        if len(row.operands) != len(row.instruction.operands) or len(row.attributes) != len(row.instruction.attributes):
            raise ValueError(f"expected the operands and attributes of {row.instruction.contract!r}")
        for spec, operand in zip(row.instruction.operands, row.operands, strict=True):
            if operand is None:
                if not spec.optional:
                    raise ValueError(f"operand {spec.name!r} is missing")
                continue
            if dtype_name(operand.dtype, self.dtype) != dtype_name(spec.dtype, self.dtype):
                raise ValueError(f"operand {spec.name!r} is {operand.dtype}, the contract says {spec.dtype}")
            if len(operand.shape) != len(spec.shape):
                raise ValueError(f"operand {spec.name!r} has shape {operand.shape}, the contract says {spec.shape}")
            for letter, size in zip(spec.shape, operand.shape, strict=True):
                expected = letter if isinstance(letter, int) else dims.setdefault(letter, size)
                if expected != size:
                    raise ValueError(f"operand {spec.name!r}: dimension {letter} is {size}, elsewhere {expected}")
        if row.op in PRODUCTS:
            self._verify_product(row, dims)

    def _verify_product(self, row: Row, dims: dict[str, Size]) -> None:
        a, b = (dims["A0"], dims["A1"]), (dims["B0"], dims["B1"])
        (m, k), (k_b, n) = (a[::-1] if row.attribute("transpose_a") else a), (b[::-1] if row.attribute("transpose_b") else b)
        if (m, n) != (dims["M"], dims["N"]) or k != k_b:
            raise ValueError(f"cannot multiply ({m}, {k}) by ({k_b}, {n}) into ({dims['M']}, {dims['N']})")

    def _verify_places(self, row: Row, written: set[tuple[int, int]]) -> None:
        for spec, operand, reads, writes in row.accesses():
            place = (operand.offset, operand.offset + self.operand_bytes(operand))
            if operand.segment in ("params", "inputs"):
                table = self.weights if operand.segment == "params" else self.inputs
                if not 0 <= operand.offset < len(table):
                    raise ValueError(f"operand {spec.name!r}: {operand.segment} has {len(table)} entries, not {operand.offset + 1}")
            elif operand.segment not in SEGMENTS:
                raise ValueError(f"operand {spec.name!r}: unknown segment {operand.segment!r}")
            elif operand.segment != "scratch" and place[1] > self.bytes.get(operand.segment, 0):
                raise ValueError(f"operand {spec.name!r} ends at byte {place[1]} of {operand.segment}, past its end")
            if operand.segment == "activations":
                if reads and not any(start <= place[0] and place[1] <= end for start, end in written):
                    raise ValueError(f"operand {spec.name!r} is read before it is written")
                if writes:
                    written.add(place)
