"""Passes over the rows of a program that is being built: prune, fuse, plan the memory, place the barriers.

Until `plan` has run, the offset of an ``activations`` operand is the number of its buffer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fastnn_kernels.instructions import ACTIVATION_RELU, ACTIVATION_SIGMOID, ACTIVATION_TANH, PRODUCTS

from fastnn.program import InputSlot, Operand, Program, Row

_FUSED = {"relu": ACTIVATION_RELU, "sigmoid": ACTIVATION_SIGMOID, "tanh": ACTIVATION_TANH}


def _buffers(row: Row, *, written: bool) -> set[int]:
    """Numbers of the buffers that ``row`` writes, or that it reads."""
    return {
        operand.offset
        for _, operand, reads, writes in row.accesses()
        if operand.segment == "activations" and (writes if written else reads)
    }


def _move(row: Row, segment: str, offsets: Mapping[int, int]) -> Row:
    """``row`` with new offsets for its operands in ``segment``."""
    moved = [
        Operand(segment, offsets[operand.offset], operand.shape, operand.dtype)
        if operand is not None and operand.segment == segment
        else operand
        for operand in row.operands
    ]
    return Row(row.op, tuple(moved), row.attributes, row.barrier)


def prune(rows: Sequence[Row]) -> list[Row]:
    """Drop rows that write nothing but buffers nobody reads afterwards."""
    kept, needed = [], set[int]()
    for row in reversed(rows):
        lasting = any(writes and operand.segment != "activations" for _, operand, _, writes in row.accesses())
        if lasting or _buffers(row, written=True) & needed:
            needed |= _buffers(row, written=False)
            kept.append(row)
    return kept[::-1]


def _fusible(row: Row) -> bool:
    if row.op == "relu":
        return row.attribute("threshold") == 0.0 and row.attribute("max_value") == math.inf
    return row.op in _FUSED


def fuse(rows: Sequence[Row]) -> list[Row]:
    """Let a product apply the activation that alone reads its result."""
    users: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        for buffer in _buffers(row, written=True) | _buffers(row, written=False):
            users.setdefault(buffer, []).append(number)
    fused = list(rows)
    gone = set[int]()
    for number, row in enumerate(rows):
        if not _fusible(row):
            continue
        x, out = row.operands
        assert x is not None
        assert out is not None
        first = users[x.offset][0]
        if users[x.offset] == [first, number] and rows[first].op in PRODUCTS:
            fused[first] = _with_activation(rows[first], row, out)
            gone.add(number)
    return [row for number, row in enumerate(fused) if number not in gone]


def _with_activation(product: Row, activation: Row, out: Operand) -> Row:
    """``product`` that writes ``activation`` of its result to the buffer of ``out``."""
    slope = activation.attribute("negative_slope") if activation.op == "relu" else 0.0
    result = product.operands[-1]
    assert result is not None
    operands = (*product.operands[:-1], replace(result, offset=out.offset))
    attributes = (*product.attributes[:2], _FUSED[activation.op], slope, *product.attributes[4:])
    return replace(product, operands=operands, attributes=attributes)


def used_inputs(rows: Sequence[Row], inputs: Sequence[InputSlot]) -> tuple[list[Row], list[InputSlot]]:
    """Keep only the input slots that some row names."""
    used = sorted({operand.offset for row in rows for _, operand, _, _ in row.accesses() if operand.segment == "inputs"})
    number = {old: new for new, old in enumerate(used)}

    return [_move(row, "inputs", number) for row in rows], [inputs[old] for old in used]


def plan(rows: Sequence[Row], sizes: Sequence[int]) -> tuple[list[Row], int]:
    """Give every buffer an offset (bytes per sample): first fit, largest first among those alive together."""
    life: dict[int, tuple[int, int]] = {}
    for number, row in enumerate(rows):
        for buffer in _buffers(row, written=True) | _buffers(row, written=False):
            life[buffer] = (life.get(buffer, (number, number))[0], number)
    offsets: dict[int, int] = {}
    for buffer in sorted(life, key=lambda buffer: (-sizes[buffer], life[buffer])):
        first, last = life[buffer]
        taken = sorted(
            (offsets[other], offsets[other] + sizes[other])
            for other in offsets
            if life[other][0] <= last and first <= life[other][1]
        )
        offset = 0
        for start, end in taken:
            if offset + sizes[buffer] <= start:
                break
            offset = max(offset, end)
        offsets[buffer] = offset

    end = max((offset + sizes[buffer] for buffer, offset in offsets.items()), default=0)
    return [_move(row, "activations", offsets) for row in rows], end


def place_barriers(rows: Sequence[Row], program: Program) -> list[Row]:
    """Mark the rows before which the workers must meet: those that touch what another worker may still write or read.

    The first row always is: it separates the steps.
    """
    placed: list[Row] = []
    since: list[tuple[str, int, int, bool, bool]] = []  # segment, start, end, written, by worker 0 alone
    for row in rows:
        serial = not row.instruction.parallel
        mine = [
            (*_place(operand, program), writes, serial) for _, operand, _, writes in row.accesses() if operand.segment != "scratch"
        ]
        barrier = not placed or any(_conflict(old, new) for old in since for new in mine)
        since = mine if barrier else since + mine
        placed.append(Row(row.op, row.operands, row.attributes, barrier))
    return placed


def _place(operand: Operand, program: Program) -> tuple[str, int, int]:
    if operand.segment == "params":  # an update covers a run of weights
        return ("params", 0, 1)
    if operand.segment == "inputs":
        return ("inputs", operand.offset, operand.offset + 1)
    return (operand.segment, operand.offset, operand.offset + program.operand_bytes(operand))


def _conflict(old: tuple[str, int, int, bool, bool], new: tuple[str, int, int, bool, bool]) -> bool:
    overlap = old[0] == new[0] and old[1] < new[2] and new[1] < old[2]
    return overlap and (old[3] or new[3]) and not (old[4] and new[4])
