"""The device's side of a Memory: its segments, the weights' twins, copies of the caller's arrays."""

from __future__ import annotations

import gc
import threading
import weakref
from types import ModuleType
from typing import Any

import numpy as np
from fastnn_kernels.cuda.matmul.blocking import COUNTERS
from fastnn_kernels.instructions import CONTROL_WORDS, NEXT_POSITION, POSITION, STEP
from numpy.typing import NDArray

from fastnn.engine.rows import operand_called
from fastnn.memory import Buffer, Memory
from fastnn.program import Operand, Program

ALIGNMENT = 256
"""Bytes: a segment starts where the device's own allocations may start."""

KEPT_BYTES = 1 << 20
"""A copy of a larger array is freed with the array: its session may wait long for its next call."""

_making = threading.Lock()


def allocate(device: ModuleType, size: int) -> Any:
    """``size`` bytes of the device; what only a cycle of dropped models still holds is given up for it."""
    try:
        return device.allocate(size)
    except MemoryError:
        gc.collect()
        return device.allocate(size)


class DeviceTwin:
    """A `Buffer`'s bytes on the device; see `fastnn.memory.Twin`."""

    def __init__(self, device: ModuleType, size: int) -> None:
        self._copy, self._stream = allocate(device, size), device.Stream()
        self.address: int = self._copy.address

    def send(self, memory: NDArray[np.uint8]) -> None:
        """To the device, before it returns."""
        self._stream.upload(self.address, memory)
        self._stream.synchronize()

    def fetch(self, memory: NDArray[np.uint8]) -> None:
        """From the device, before it returns."""
        self._stream.download(memory, self.address)
        self._stream.synchronize()


def twin_of(buffer: Buffer, device: ModuleType) -> DeviceTwin:
    """The buffer's twin, made on first use."""
    with _making:
        if buffer.twin is None:
            buffer.twin = DeviceTwin(device, buffer.memory.nbytes)
        assert isinstance(buffer.twin, DeviceTwin)
        return buffer.twin


class DeviceMemory:
    """What a program on the device works on, with the stream of its work.

    Parameters
    ----------
    device : module
        `fastnn_kernels.cuda.device`, or one like it.
    memory : Memory
        The host's side: `send` and `fetch` copy from and to it.
    """

    def __init__(self, device: ModuleType, memory: Memory) -> None:
        self._device, self.stream = device, device.Stream()
        self._memory: Memory = weakref.proxy(memory)  # which holds this one: both go with their session, without waiting for gc
        own = {name: segment for name, segment in memory.segments.items() if name not in memory.shared}
        starts, end = {}, 0
        for name, segment in own.items():
            starts[name], end = end, end + -(-segment.nbytes // ALIGNMENT) * ALIGNMENT
        self._block = allocate(device, end)
        self._segments: dict[str, int] = {name: self._block.address + start for name, start in starts.items()}
        self._twins = [(buffer, twin_of(buffer, device)) for buffer in memory.buffers]
        self._copies: list[Any] = [None] * len(memory.inputs)
        self._current: set[int] = set()
        self.control: NDArray[np.int64] = memory.segments["control"][: CONTROL_WORDS * 8].view(np.int64)
        program = memory.program
        self._outputs, self._rates = _places(program, "put_rows", "data"), _places(program, "next_update", "learning_rate")
        self._never_sent = self._outputs | self._rates | _places(program, "shuffle", "state")
        self._both_ways = [name for name in ("control", "totals") if own[name].nbytes]
        if "grads" in own:
            self.stream.upload(self._segments["grads"], own["grads"])  # zeros between the weights
        if own["scratch"].nbytes:
            self.stream.upload(self._segments["scratch"], own["scratch"][: COUNTERS * program.item_bytes])

    # -- addresses -------------------------------------------------------------------------------------------------------

    def address(self, operand: Operand | None) -> int:
        """The operand's address on the device; 0 when it is absent."""
        if operand is None:
            return 0
        if operand.segment == "inputs":
            copy = None if self._memory.inputs[operand.offset] is None else self._copies[operand.offset]
            return 0 if copy is None else copy.address
        host = self._memory.address(operand)
        if operand.segment in self._segments:
            return self._segments[operand.segment] + host - self._memory.segments[operand.segment].ctypes.data
        for buffer, twin in self._twins:
            offset = host - buffer.memory.ctypes.data
            if 0 <= offset < buffer.memory.nbytes:
                return twin.address + offset
        raise ValueError(f"operand {operand} lies in no arena: place_in_arena first")

    def place_inputs(self) -> None:
        """Make room for the caller's arrays; what is large enough stays where it is."""
        for place, array in enumerate(self._memory.inputs):
            copy = self._copies[place]
            if array is not None and (copy is None or copy.size < array.nbytes):
                self._copies[place] = None  # freed first
                self._copies[place] = allocate(self._device, array.nbytes)

    def inputs_changed(self) -> None:
        """The caller's arrays are others now, or gone."""
        self._current.clear()
        self._copies = [None if copy is not None and copy.size > KEPT_BYTES else copy for copy in self._copies]

    # -- before and after a run ------------------------------------------------------------------------------------------

    def send(self, steps: int, batch: int, resumed: bool) -> None:
        """What the host may have written since the last run; ``resumed``: the first of ``steps`` steps had begun before."""
        for name in self._both_ways:
            self.stream.upload(self._segments[name], self._memory.segments[name])
        step = int(self.control[STEP])
        first = int(self.control[POSITION if resumed else NEXT_POSITION])
        self._written = slice(first, first + steps * batch)
        if first == 0 and self._memory.program.kind == "predict":
            self._current.clear()  # a predictor writes its inputs in place
        for place, array in enumerate(self._memory.inputs):
            if array is None:
                continue
            if place in self._rates:
                self._send_part(place, array, max(step, 0), step + 1 + steps)
            elif place not in self._current and place not in self._never_sent:
                self._send_part(place, array, 0, len(array))
                self._current.add(place)

    def send_again(self, operand: Operand | None) -> None:
        """The host has written an input of its own."""
        if operand is not None:
            self._current.discard(operand.offset)

    def _send_part(self, place: int, array: NDArray, start: int, stop: int) -> None:
        part = array[start:stop]
        self.stream.upload(self._copies[place].address + part.ctypes.data - array.ctypes.data, part)

    def fetch(self) -> None:
        """What the host may read after a run; it is there on return."""
        for name in [*self._both_ways, *(["grads"] if self._memory.program.kind == "gradients" else [])]:
            self.stream.download(self._memory.segments[name], self._segments[name])
        for place in self._outputs:
            array = self._memory.inputs[place]
            if array is not None:
                part = array[self._written]
                self.stream.download(part, self._copies[place].address + part.ctypes.data - array.ctypes.data)
        self.stream.synchronize()


def _places(program: Program, op: str, name: str) -> set[int]:
    """Numbers of the inputs that rows of ``op`` have as operand ``name``."""
    found = (operand_called(row, name) for row in program.rows if row.op == op)
    return {operand.offset for operand in found if operand is not None}
