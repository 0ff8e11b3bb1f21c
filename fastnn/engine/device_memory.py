"""The device's side of a Memory: its segments, the weights' twins, the caller's arrays or copies of them."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from fastnn_kernels.cuda.arrays import DeviceArray
from fastnn_kernels.cuda.matmul.blocking import COUNTERS
from fastnn_kernels.cuda.streams import in_order
from fastnn_kernels.instructions import CONTROL_WORDS, NEXT_POSITION, POSITION, STEP
from numpy.typing import NDArray

from fastnn.engine.rows import operand_called
from fastnn.memory import Buffer, Memory
from fastnn.program import Operand, Program

if TYPE_CHECKING:
    from fastnn.engine.windows import Windows

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
        The host's side.

    Attributes
    ----------
    samples, outputs, order : set of int
        Places of the inputs that steps take rows of, and put rows into; of the index that says the order.
    windows : Windows or None
        What samples pass through that do not fit; ``decided``: whether they do.
    """

    windows: Windows | None = None
    decided = False

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
        self.outputs, self.samples = _places(program, "put_rows", "data"), _places(program, "take_rows", "data")
        self.order, self._rates = _places(program, "take_rows", "index"), _places(program, "next_update", "learning_rate")
        self._never_sent = self.outputs | self._rates | _places(program, "shuffle", "state")
        self._both_ways = [name for name in ("control", "totals") if own[name].nbytes]
        if "grads" in own:
            self.stream.upload(self._segments["grads"], own["grads"])  # zeros between the weights
        if own["scratch"].nbytes:
            self.stream.upload(self._segments["scratch"], own["scratch"][: COUNTERS * program.item_bytes])

    # -- addresses -------------------------------------------------------------------------------------------------------

    def address(self, operand: Operand | None, inputs: Sequence[Any]) -> int:
        """The operand's address on the device, with these arrays as inputs; 0 when it is absent."""
        if operand is None:
            return 0
        if operand.segment == "inputs":
            array = inputs[operand.offset]
            return 0 if array is None else (array if isinstance(array, DeviceArray) else self._copies[operand.offset]).address
        host = self._memory.address(operand)
        if operand.segment in self._segments:
            return self._segments[operand.segment] + host - self._memory.segments[operand.segment].ctypes.data
        for buffer, twin in self._twins:
            offset = host - buffer.memory.ctypes.data
            if 0 <= offset < buffer.memory.nbytes:
                return twin.address + offset
        raise ValueError(f"operand {operand} lies in no arena: place_in_arena first")

    def place_inputs(self) -> None:
        """Make room for copies of the caller's arrays; what is large enough stays where it is."""
        for place, array in self._copied():
            copy = self._copies[place]
            if copy is None or copy.size < array.nbytes:
                self.give_up({place})
                self._copies[place] = allocate(self._device, array.nbytes)

    def give_up(self, places: Iterable[int]) -> None:
        """Free the copies of these inputs."""
        for place in places:
            self._copies[place] = None

    def inputs_changed(self) -> None:
        """The caller's arrays are others now, or gone."""
        self._current.clear()
        windows, self.windows, self.decided = self.windows, None, False
        if windows is not None:
            windows.end()
        self._copies = [None if copy is not None and copy.size > KEPT_BYTES else copy for copy in self._copies]

    # -- before and after a run ------------------------------------------------------------------------------------------

    @contextmanager
    def running(self, steps: int, batch: int, resumed: bool, start: int = 0) -> Iterator[None]:
        """Let the block of a ``with`` begin work on the device; at its end all that the host reads is there.

        Before, what the host may have written since the last run is sent. ``resumed``: the first of ``steps`` steps had begun
        before; ``start``: the row of the pass that is the inputs' first.
        """
        lying = [array for array in self._memory.inputs if isinstance(array, DeviceArray)]
        self.control[[POSITION, NEXT_POSITION]] -= start
        try:
            with in_order(self.stream, *lying):
                self._send(steps, batch, resumed)
                try:
                    yield
                finally:
                    self._fetch()
        finally:
            self.control[[POSITION, NEXT_POSITION]] += start

    def _send(self, steps: int, batch: int, resumed: bool) -> None:
        for name in self._both_ways:
            self.stream.upload(self._segments[name], self._memory.segments[name])
        step = int(self.control[STEP])
        first = int(self.control[POSITION if resumed else NEXT_POSITION])
        self._written = slice(first, first + steps * batch)
        if first == 0 and self._memory.program.kind == "predict":
            self._current.clear()  # a predictor writes its inputs in place
        for place, array in self._copied():
            if place in self._rates:
                self._send_part(place, array, max(step, 0), step + 1 + steps)
            elif place not in self._current and place not in self._never_sent:
                self._send_part(place, array, 0, len(array))
                self._current.add(place)

    def _copied(self) -> Iterator[tuple[int, NDArray]]:
        """The inputs that have a copy on the device."""
        streamed = set() if self.windows is None else self.windows.places
        for place, array in enumerate(self._memory.inputs):
            if isinstance(array, np.ndarray) and place not in streamed:
                yield place, array

    def send_again(self, operand: Operand | None) -> None:
        """The host has written an input of its own."""
        if operand is not None:
            self._current.discard(operand.offset)

    def _send_part(self, place: int, array: NDArray, start: int, stop: int) -> None:
        part = array[start:stop]
        self.stream.upload(self._copies[place].address + part.ctypes.data - array.ctypes.data, part)

    def _fetch(self) -> None:
        for name in [*self._both_ways, *(["grads"] if self._memory.program.kind == "gradients" else [])]:
            self.stream.download(self._memory.segments[name], self._segments[name])
        for place, array in self._copied():
            if place in self.outputs:
                part = array[self._written]
                self.stream.download(part, self._copies[place].address + part.ctypes.data - array.ctypes.data)
        self.stream.synchronize()


def _places(program: Program, op: str, name: str) -> set[int]:
    """Numbers of the inputs that rows of ``op`` have as operand ``name``."""
    found = (operand_called(row, name) for row in program.rows if row.op == op)
    return {operand.offset for operand in found if operand is not None}
