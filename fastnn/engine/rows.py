"""What every engine with tables of addresses asks of a row when it binds it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from math import isqrt, prod
from typing import Any

from fastnn_kernels.instructions import INSTRUCTIONS, PRODUCTS

from fastnn.memory import Memory
from fastnn.program import BATCH, Operand, Row, Size, Symbol


@cache
def _letters(op: str, present: tuple[bool, ...]) -> tuple[tuple[int, int] | None, ...]:
    """For each dimension letter the first present operand that has it, and the axis; None when there is no such operand."""
    places = {
        letter: (number, axis)
        for number, spec in reversed(list(enumerate(INSTRUCTIONS[op].operands)))
        if present[number]
        for axis, letter in enumerate(spec.shape)
    }
    return tuple(places.get(letter) for letter in INSTRUCTIONS[op].dimensions)


def dimensions(row: Row) -> Iterator[tuple[Size, Operand | None]]:
    """The size behind each dimension letter of a row, and the operand that tells it."""
    for place in _letters(row.op, tuple(operand is not None for operand in row.operands)):
        number, axis = place or (0, 0)
        operand = row.operands[number] if place else None
        yield (0 if operand is None else operand.shape[axis]), operand


def sizes_of(row: Row, memory: Memory, batch: int) -> list[int]:
    """The row's dimension letters for a batch of ``batch`` samples."""
    return [memory.size(size, batch, operand) for size, operand in dimensions(row)]


def attributes_of(row: Row, memory: Memory, batch: int) -> list[int | float]:
    """The row's attributes for a batch of ``batch`` samples, each as an int or a float as its contract line says."""
    return [
        memory.size(value, batch) if isinstance(value, Symbol) else float(value) if kind == "d" else int(value)
        for (_, kind), value in zip(row.instruction.attributes, row.attributes, strict=True)
    ]


def largest(row: Row, batch: int) -> tuple[dict[str, int], dict[str, float]]:
    """The row's dimension letters and attributes by name, for ``batch`` samples; 0 for what else is known only when it is bound."""

    def bound(size: Size | float) -> Any:
        return size if not isinstance(size, Symbol) else size.multiple * batch if size.name == BATCH.name else 0

    letters, names = row.instruction.dimensions, [name for name, _ in row.instruction.attributes]
    sizes = {letter: bound(size) for letter, (size, _) in zip(letters, dimensions(row), strict=True)}
    return sizes, {name: bound(value) for name, value in zip(names, row.attributes, strict=True)}


def operand_called(row: Row, name: str) -> Operand | None:
    """The row's operand called ``name``."""
    return row.operands[[spec.name for spec in row.instruction.operands].index(name)]


def work_of(row: Row, memory: Memory, batch: int) -> tuple[int, int]:
    """The row's multiply-adds if it is a product of matrices, else the bytes that it streams."""
    present = [operand for operand in row.operands if operand is not None and operand.segment != "scratch"]
    if row.op in PRODUCTS:  # (M K) (K N) (M N) is the square of M N K
        a, b, out = present[0], present[1], present[-1]
        return isqrt(prod(prod(memory.shape(operand, batch)) for operand in (a, b, out))), 0
    sampled = [operand for operand in present if operand.segment != "inputs"]  # of an input, one batch is touched
    return 0, sum(prod(memory.shape(operand, batch)) * memory.dtype(operand).itemsize for operand in sampled)
