"""Buffers, which the host and a device own in turn, and Memory: the segments of one bound program. All 64-byte aligned."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from fastnn_kernels.instructions import dtype_name
from fastnn_kernels.system import at_fork, interrupts_deferred
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


class Twin(Protocol):
    """A device's copy of a `Buffer`; it lives as long as the buffer."""

    def send(self, memory: NDArray[np.uint8]) -> None:
        """Fill the copy from ``memory``; it is read no more on return."""

    def fetch(self, memory: NDArray[np.uint8]) -> None:
        """Write the copy to ``memory``, before it returns."""


class Buffer:
    """Bytes with one owner at a time, the host or a device: an arena of weights, the state of an optimizer.

    A device has them `lent` for its runs, and keeps them afterwards; whoever looks at them on the host goes through `home`, which
    fetches them, after the run that is going on and before the next one. So weights stay where they are trained until somebody
    looks. A host that writes while another thread runs the device, or a program on the host, races with it.

    Attributes
    ----------
    memory : ndarray of uint8
        The host's memory, for addresses and sizes; its contents count only at `home`.
    twin : Twin or None
        The device's copy, once there is one.
    """

    __slots__ = ("__weakref__", "_runs", "_waiting", "memory", "twin")

    def __init__(self, size: int) -> None:
        self.memory = aligned(size)
        self.twin: Twin | None = None
        self._runs = self._waiting = 0

    def home(self) -> NDArray[np.uint8]:
        """The bytes, owned by the host from now on."""
        if id(self) in AWAY:
            with _change:
                self._waiting += 1
                try:
                    while self._runs:
                        _change.wait()
                    if id(self) in AWAY:
                        assert self.twin is not None
                        self.twin.fetch(self.memory)
                        del AWAY[id(self)]
                finally:
                    self._waiting -= 1
                    _change.notify_all()
        return self.memory

    def __del__(self) -> None:
        AWAY.pop(id(self), None)


AWAY: dict[int, weakref.ref[Buffer]] = {}
"""The buffers that a device owns now, by id. As a rule it is empty, and that is all that programs on the host have to ask."""

_change = threading.Condition()


@contextmanager
def lent(buffers: Sequence[Buffer]) -> Iterator[None]:
    """Let the device, which has the twins, own ``buffers`` for the block of a ``with``; it keeps them until somebody looks."""
    running: list[Buffer] = []
    try:
        with interrupts_deferred():
            _begin_run(buffers, running)
        yield
    finally:
        with interrupts_deferred():
            _end_run(running)


def _begin_run(buffers: Sequence[Buffer], running: list[Buffer]) -> None:
    """Send what is at home, all or none at a time, so that no two runs wait for each other; those who look go first."""
    with _change:
        while any(buffer._waiting for buffer in buffers):
            _change.wait()
        for buffer in buffers:
            if id(buffer) not in AWAY:
                assert buffer.twin is not None
                buffer.twin.send(buffer.memory)
                AWAY[id(buffer)] = weakref.ref(buffer)
            buffer._runs += 1
            running.append(buffer)


def _end_run(running: Sequence[Buffer]) -> None:
    with _change:
        for buffer in running:
            buffer._runs -= 1
        _change.notify_all()


def _away() -> list[Buffer]:
    return [buffer for reference in list(AWAY.values()) if (buffer := reference()) is not None]


def _before_fork() -> None:
    """A child cannot use its parent's device: everything comes home, and stays there until the fork is done."""
    _change.acquire()
    while buffers := _away():
        for buffer in buffers:
            buffer.home()


def _renew_lock() -> None:
    global _change
    _change = threading.Condition()


at_fork(before=_before_fork, after_in_parent=lambda: _change.release(), after_in_child=_renew_lock)


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
    shared : dict of str to Buffer, optional
        Segments that outlive this program (``slots``, ``grads``); used in place.
    arenas : sequence of Buffer
        What holds the weights.

    Attributes
    ----------
    inputs : list of ndarray, DeviceArray or None
        The caller's arrays; a `DeviceArray` where an engine takes those.
    device
        What an engine with a memory of its own keeps beside this one; its ``inputs_changed()`` is called when `inputs` changes.
    """

    def __init__(
        self,
        program: Program,
        capacity: int,
        weights: Sequence[NDArray],
        *,
        scratch: int = 0,
        shared: dict[str, Buffer] | None = None,
        arenas: Sequence[Buffer] = (),
    ) -> None:
        self.shared = shared or {}
        self.program = program
        self.capacity = -(-capacity // CAPACITY_STEP) * CAPACITY_STEP
        self.weights = list(weights)
        self.inputs: list[Any] = [None] * len(program.inputs)
        self.scratch_elements = scratch
        sizes = dict(program.bytes)
        sizes["activations"] = sizes.get("activations", 0) * self.capacity
        sizes["scratch"] = scratch * program.item_bytes
        self.segments = {name: aligned(size) for name, size in sizes.items() if name not in self.shared}
        self.buffers = (*arenas, *self.shared.values())
        self.device: Any = None
        for name, buffer in self.shared.items():
            if buffer.memory.nbytes < program.bytes[name]:
                raise ValueError(f"segment {name!r} has {buffer.memory.nbytes} bytes, the program needs {program.bytes[name]}")
            self.segments[name] = buffer.memory

    def come_home(self) -> None:
        """Let the host own the weights and the shared segments; for engines that run on the host, where some are `AWAY`."""
        for buffer in self.buffers:
            buffer.home()

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
        return np.dtype(dtype_name(operand.dtype, self.program.dtype))

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
