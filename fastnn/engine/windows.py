"""Samples that do not fit on the device: two windows on them there, one worked on while the other is filled."""

from __future__ import annotations

from copy import copy
from math import prod
from types import ModuleType
from typing import Any

import numpy as np
from fastnn_kernels.cuda.arrays import DeviceArray
from numpy.typing import NDArray

from fastnn import config
from fastnn.engine.device_memory import DeviceMemory, allocate
from fastnn.memory import Memory

HEADROOM = 8
"""Of the free memory one part in so many is not for samples: other sessions, kernels and libraries need some."""

SMALL_BYTES = 1 << 24
"""Samples that fit on any GPU."""

WINDOW_BYTES = 1 << 26
"""The most that one window takes on the device, and as page-locked memory of the host; a copy of so much hides its start."""


class Windows:
    """Rows of a pass over the samples, in its order: gathered on the host, copied to the device while that computes.

    Parameters
    ----------
    gpu : module
        `fastnn_kernels.cuda.device`, or one like it.
    memory : Memory
        Its inputs are the samples.
    device : DeviceMemory
        It knows their places.
    budget : int
        Bytes that the device has for the windows; one batch there must be.

    Attributes
    ----------
    frames : list of Memory
        For each window, the memory with arrays of the device as its inputs; their first row is the window's.
    places : set of int
        Inputs that are on the device in parts alone.
    """

    def __init__(self, gpu: ModuleType, memory: Memory, device: DeviceMemory, budget: int) -> None:
        self._gpu, self._copies, self._returns = gpu, gpu.Stream(), gpu.Stream()
        given = memory.inputs
        self._sources = {place: _host(given[place]) for place in device.samples if given[place] is not None}
        self._targets: dict[int, NDArray] = {place: given[place] for place in device.outputs if given[place] is not None}
        self._index = next((given[place] for place in device.order if given[place] is not None), None)
        arrays = self._sources | self._targets
        self.samples = len(next(iter(arrays.values())))
        row_bytes = sum(array.nbytes for array in arrays.values()) // self.samples
        wanted = min(WINDOW_BYTES, budget // 2) // max(row_bytes, 1)
        self.rows = min(self.samples, max(memory.capacity, wanted))
        self.places = {*arrays, *device.order}
        self.frames = [self._frame(memory, arrays) for _ in range(2)]
        self._staging = [{place: self._pinned(array) for place, array in arrays.items()} for _ in range(2)]
        self._held = [range(0), range(0)]
        self._current = 0
        self._on_their_way: list[tuple[NDArray, NDArray]] = []

    def _frame(self, memory: Memory, arrays: dict[int, NDArray]) -> Memory:
        frame = copy(memory)
        frame.device, frame.inputs = None, list(memory.inputs)
        for place in self.places:
            frame.inputs[place] = None
        for place, array in arrays.items():
            shape = (self.rows, *array.shape[1:])
            buffer = allocate(self._gpu, prod(shape) * array.itemsize)
            frame.inputs[place] = DeviceArray(buffer.address, shape, array.dtype, buffer)
        return frame

    def _pinned(self, array: NDArray) -> NDArray:
        shape = (self.rows, *array.shape[1:])
        return self._gpu.pinned(prod(shape) * array.itemsize).view(array.dtype).reshape(shape)

    # -- to the device ---------------------------------------------------------------------------------------------------

    def begin_pass(self) -> None:
        """The order, or what the arrays hold, is another one now."""
        self._held = [range(0), range(0)]

    def around(self, position: int, batch: int) -> tuple[int, range]:
        """The window with the batch that begins at row ``position`` of the pass, and its rows."""
        for number, held in enumerate(self._held):
            if held.start <= position and position + batch <= held.stop:
                self._current = number
                return number, held
        self._current = 1 - self._current
        self._fill(self._current, position, batch)
        return self._current, self._held[self._current]

    def wait(self, stream: Any) -> None:
        """Let the work of ``stream`` begin when what was filled is there."""
        self._gpu.order(self._copies.handle, stream.handle)

    def fill_next(self, batch: int) -> None:
        """Fill the other window with the rows behind the current one's."""
        start, other = self._held[self._current].stop, 1 - self._current
        if start < self.samples and self._held[other].start != start:
            self._fill(other, start, batch)

    def end(self) -> None:
        """Wait for copies that nobody waited for, and let go of the memory, which steps that are kept would hold."""
        self._copies.synchronize()
        for frame in self.frames:
            frame.inputs.clear()

    def _fill(self, number: int, start: int, batch: int) -> None:
        """Gather rows from ``start`` on, whole batches unless they are the last ones, and start to copy them.

        The device has done its work on this window: every run waits for its end. Where a copy of rows that nobody came for is
        still under way, from this staging memory, the new one follows it.
        """
        left = self.samples - start
        rows = left if left <= self.rows else self.rows // batch * batch
        self._held[number] = range(0)
        for place, source in self._sources.items():
            staged = self._staging[number][place][:rows]
            if self._index is None:
                staged[...] = source[start : start + rows]
            else:  # every number in the index is a sample's; "raise" would cost a copy
                np.take(source, self._index[start : start + rows], axis=0, out=staged, mode="clip")
            self._copies.upload(self.frames[number].inputs[place].address, staged)
        self._held[number] = range(start, start + rows)

    # -- back to the host ------------------------------------------------------------------------------------------------

    def send_back(self, number: int, rows: range) -> None:
        """Start to copy what a run has put into ``rows`` of the pass, which has ended."""
        start = self._held[number].start
        for place, target in self._targets.items():
            staged, window = self._staging[number][place], self.frames[number].inputs[place]
            part = staged[rows.start - start : rows.stop - start]
            self._returns.download(part, window.address + part.ctypes.data - staged.ctypes.data)
            self._on_their_way.append((target[rows.start : rows.stop], part))

    def settle(self) -> None:
        """Wait for what is on its way back, and put it into the caller's arrays."""
        if self._on_their_way:
            self._returns.synchronize()
            for target, part in self._on_their_way:
                target[...] = part[: len(target)]
            self._on_their_way.clear()


def windows_for(gpu: ModuleType, memory: Memory, device: DeviceMemory) -> Windows | None:
    """Windows on the samples of ``memory``, or None where they fit on the device; see `fastnn.config.set_sample_memory`."""
    places = device.samples | device.outputs
    needed = sum(array.nbytes for place in places if isinstance(array := memory.inputs[place], np.ndarray))
    budget = config.sample_memory()
    if budget is None and needed <= SMALL_BYTES:  # what is free need not be asked
        return None
    if budget is None:
        free, _ = gpu.memory_info()
        budget = free - free // HEADROOM
    if needed <= budget:
        return None
    device.give_up(places | device.order)  # copies that an earlier call left
    return Windows(gpu, memory, device, budget)


def _host(array: Any) -> NDArray:
    return array.copy_to_host() if isinstance(array, DeviceArray) else array
