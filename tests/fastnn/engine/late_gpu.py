"""A device whose streams do nothing before somebody waits: what was not ordered, or waited for, shows."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from fastnn_kernels.cuda import device_simulated as simulated

from tests.fastnn.engine import reference_gpu

_pinned: list[tuple[int, int]] = []


class Stream(reference_gpu.Stream):
    """Everything waits in a queue."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: list[Callable[[], Any]] = []
        self.done = 0

    def upload(self, address: int, array: np.ndarray) -> None:
        start = array.ctypes.data
        if not any(first <= start and start + array.nbytes <= last for first, last in _pinned):
            array = array.copy()  # the driver has read it on return
        self.queue.append(lambda: super(Stream, self).upload(address, array))

    def download(self, array: np.ndarray, address: int) -> None:
        self.queue.append(lambda: super(Stream, self).download(array, address))

    def copy(self, target: int, source: int, size: int) -> None:
        self.queue.append(lambda: super(Stream, self).copy(target, source, size))

    def launch(self, entry: simulated.Entry, blocks: int, arguments: Any) -> None:
        self.queue.append(lambda: super(Stream, self).launch(entry, blocks, arguments))

    def run(self, until: int) -> None:
        while self.done < until:
            self.done += 1
            self.queue[self.done - 1]()

    def synchronize(self) -> None:
        self.run(len(self.queue))


def order(first: int, second: int) -> None:
    simulated.order(first, second)
    before, after = (simulated._streams.get(handle) for handle in (first, second))
    if isinstance(before, Stream) and isinstance(after, Stream):
        until = len(before.queue)
        after.queue.append(lambda: before.run(until))


def pinned(size: int) -> np.ndarray:
    array = simulated.pinned(size)
    _pinned.append((array.ctypes.data, array.ctypes.data + size))
    return array


gpu: Any = SimpleNamespace(**{**reference_gpu.NAMES, "Stream": Stream, "order": order, "pinned": pinned})
