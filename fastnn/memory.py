"""Memory: the segments of one bound program as NumPy buffers, 64-byte aligned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fastnn_kernels.instructions import DTYPES
from numpy.typing import NDArray

from fastnn.program import BATCH, SAMPLES, SCRATCH, Operand, Program, Size, Symbol

ALIGNMENT = 64
"""Bytes: a cache line, and an AVX-512 vector."""

CAPACITY_STEP = 16
"""Batch capacities are rounded up to this, so that (bytes per sample) * capacity is a multiple of `ALIGNMENT`."""


def aligned(size: int) -> NDArray[np.uint8]:
    """A zeroed buffer of ``size`` bytes that starts at a multiple of `ALIGNMENT`."""
    raw = np.zeros(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


class Memory:
    """Buffers for one program: engines turn operands into addresses or arrays through it.

    Parameters
    ----------
    program : Program
        What the memory is for.
    capacity : int
        The largest batch that will be bound.
    weights : sequence of ndarray
        The arrays behind ``program.weights``, in order; used in place.
    scratch : int
        Elements of the ``scratch`` segment.
    shared : dict of str to ndarray, optional
        Segments that outlive this program (``slots``, ``grads``), as bytes; used in place.
    """

    def __init__(
        self,
        program: Program,
        capacity: int,
        weights: Sequence[NDArray],
        *,
        scratch: int = 0,
        shared: dict[str, NDArray[np.uint8]] | None = None,
    ) -> None:
        self.program = program
        self.capacity = -(-capacity // CAPACITY_STEP) * CAPACITY_STEP
        self.weights = list(weights)
        self.inputs: list[NDArray | None] = [None] * len(program.inputs)
        self.scratch_elements = scratch
        sizes = dict(program.bytes)
        sizes["activations"] = sizes.get("activations", 0) * self.capacity
        sizes["scratch"] = scratch * program.item_bytes
        self.segments = {name: aligned(size) for name, size in sizes.items() if name not in (shared or {})}
        for name, segment in (shared or {}).items():
            if segment.nbytes < program.bytes[name]:
                raise ValueError(f"segment {name!r} has {segment.nbytes} bytes, the program needs {program.bytes[name]}")
            self.segments[name] = segment

    def size(self, size: Size, batch: int, operand: Operand | None = None) -> int:
        """A size with its symbols replaced: the batch, the samples of ``operand``'s array, the scratch length."""
        if not isinstance(size, Symbol):
            return size
        if size.name == BATCH.name:
            return size.multiple * batch
        if size.name == SCRATCH.name:
            return self.scratch_elements
        array = None if operand is None or size.name != SAMPLES.name else self.inputs[operand.offset]
        return 0 if array is None else len(array) * size.multiple

    def shape(self, operand: Operand, batch: int) -> tuple[int, ...]:
        """The shape of ``operand`` for a batch of ``batch`` samples."""
        return tuple(self.size(size, batch, operand) for size in operand.shape)

    def dtype(self, operand: Operand) -> np.dtype:
        """The NumPy dtype of ``operand``."""
        return np.dtype(self.program.dtype if operand.dtype == "f" else DTYPES[operand.dtype])

    def base(self, operand: Operand) -> tuple[NDArray | None, int]:
        """The array that holds ``operand`` and the byte at which it starts; ``(None, 0)`` for an input that was not given."""
        if operand.segment == "params":
            return self.weights[operand.offset], 0
        if operand.segment == "inputs":
            return self.inputs[operand.offset], 0
        offset = operand.offset * (self.capacity if operand.segment == "activations" else 1)
        return self.segments[operand.segment], offset

    def address(self, operand: Operand | None) -> int:
        """The absolute address of ``operand``; 0 when it is absent."""
        array, offset = (None, 0) if operand is None else self.base(operand)
        return 0 if array is None else array.ctypes.data + offset

    def view(self, operand: Operand | None, batch: int) -> NDArray | None:
        """``operand`` as an array over this memory; None when it is absent."""
        array, offset = (None, 0) if operand is None else self.base(operand)
        if operand is None or array is None:
            return None
        shape, dtype = self.shape(operand, batch), self.dtype(operand)
        flat = array.reshape(-1).view(np.uint8)
        if operand.segment == "params":  # an update's run may span neighbouring weights of one arena
            return np.ndarray(shape, dtype, buffer=_arena_bytes(array, int(np.prod(shape)) * dtype.itemsize))
        return flat[offset : offset + int(np.prod(shape)) * dtype.itemsize].view(dtype).reshape(shape)


def _arena_bytes(array: NDArray, size: int) -> NDArray[np.uint8]:
    """``size`` bytes from the start of ``array``, reaching past its end into the arena it is a view of."""
    arena = array
    while isinstance(arena.base, np.ndarray):
        arena = arena.base
    flat = arena.reshape(-1).view(np.uint8)
    start = array.ctypes.data - flat.ctypes.data
    return flat[start : start + size]
