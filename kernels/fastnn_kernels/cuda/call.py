"""Run one instruction on arrays that lie on the GPU."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from fastnn_kernels.cuda import device
from fastnn_kernels.cuda.arrays import DeviceArray
from fastnn_kernels.cuda.streams import in_order, own_stream
from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.units import unit_name

BLOCKS_PER_MULTIPROCESSOR = 4
ELEMENTS_PER_BLOCK = 32
"""The most blocks of a launch, and how many elements of its largest operand are worth one more: a block too many costs
nanoseconds, one too few leaves a multiprocessor idle."""


@cache
def most_blocks() -> int:
    """Blocks of a launch that has work for all."""
    return BLOCKS_PER_MULTIPROCESSOR * int(device.properties()["multiprocessors"])


def blocks_for(elements: int, most: int) -> int:
    """Blocks that ``elements`` of the largest operand are worth."""
    return max(1, min(most, -(-elements // ELEMENTS_PER_BLOCK)))


def call(
    name: str,
    dtype: np.dtype,
    operands: Sequence[DeviceArray | None],
    sizes: Sequence[int],
    attributes: Sequence[int | float] = (),
    blocks: int | None = None,
) -> None:
    """Run instruction ``name`` without checks: the caller answers for dtypes, layouts and sizes.

    Operands and attributes stand in the contract's order, sizes in that of the dimension letters. It runs on the thread's own
    stream, after what the streams of the operands were given and before what they are given next; ``blocks`` None: by the largest
    operand.
    """
    instruction, unit, stream = INSTRUCTIONS[name], unit_name(name, dtype.name), own_stream()
    entry = device.load([unit])[unit]
    elements = max(operand.size for operand in operands if operand is not None)
    split = (blocks or blocks_for(elements, most_blocks())) if instruction.parallel else 1
    addresses = [0 if operand is None else operand.address for operand in operands]
    kinds = [float if kind == "d" else int for _, kind in instruction.attributes]
    values = [kind(value) for kind, value in zip(kinds, attributes, strict=True)]
    with in_order(stream, *operands):
        stream.launch(entry, split, (0, *addresses, *sizes, *values))
