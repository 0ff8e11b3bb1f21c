"""Run one instruction on arrays that lie on the GPU."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import cache

import numpy as np

from fastnn_kernels.cuda import device
from fastnn_kernels.cuda.arrays import DeviceArray, empty
from fastnn_kernels.cuda.grid import BLOCKS_PER_MULTIPROCESSOR, blocks_for
from fastnn_kernels.cuda.matmul.blocking import COUNTERS, SCRATCH_ELEMENTS
from fastnn_kernels.cuda.streams import in_order, own_stream
from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.units import unit_name

_threads = threading.local()


def scratch(dtype: np.dtype) -> DeviceArray:
    """Working memory for any product of ``dtype`` by this thread's stream, for it alone: the counters are 0 after a product again.

    It is kept as long as the thread lives and no call fails: allocating waits for the GPU, and freeing does so for whatever still
    uses the memory.
    """
    kept = vars(_threads)
    if dtype.char not in kept:
        found = empty((SCRATCH_ELEMENTS[dtype.name],), dtype)
        own_stream().upload(found.address, np.zeros(COUNTERS, dtype))
        kept[dtype.char] = found
    return kept[dtype.char]


@cache
def most_blocks() -> int:
    """Blocks of a launch that has work for all."""
    return BLOCKS_PER_MULTIPROCESSOR * int(device.properties()["multiprocessors"])


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
    stream, after what the streams of the operands were given and before what they are given next; ``blocks`` None: as many as
    there is work for.
    """
    instruction, unit, stream = INSTRUCTIONS[name], unit_name(name, dtype.name), own_stream()
    entry = device.load([unit])[unit]
    elements = max(operand.size for operand in operands if operand is not None)
    addresses = [0 if operand is None else operand.address for operand in operands]
    given = zip(instruction.attributes, attributes, strict=True)
    values = {attribute: float(value) if kind == "d" else int(value) for (attribute, kind), value in given}
    named = dict(zip(instruction.dimensions, sizes, strict=True))
    split = blocks if blocks and instruction.parallel else blocks_for(name, dtype.name, named, values, elements, most_blocks())
    try:
        with in_order(stream, *operands):
            stream.launch(entry, split, (0, *addresses, *sizes, *values.values()))
    except BaseException:
        vars(_threads).clear()  # an interrupted product may leave counters that are not 0
        raise
