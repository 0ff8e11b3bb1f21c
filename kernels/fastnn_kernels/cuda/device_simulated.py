"""The simulator's device: memory of the host that may be used through a stream alone, kernels as Python functions.

The same names as in `driver`.
"""

from __future__ import annotations

import ctypes
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.cuda import ptx_simulated
from fastnn_kernels.cuda.adapters import entry_function, unit_parameters
from fastnn_kernels.cuda.exchange_simulated import export as export
from fastnn_kernels.cuda.exchange_simulated import view as view
from fastnn_kernels.cuda.simulator import run_blocks
from fastnn_kernels.cuda.tensor_map import TensorMap
from fastnn_kernels.cuda.variants import VARIANTS, Variant, prepared, with_variants

ALIGNMENT = 256
"""Of allocated memory, as on a device."""

DEFAULT_STREAMS = (1, 2)
"""Handles of the legacy and the thread's default stream, as on a device."""

MEMORY = 1 << 30
"""Bytes that the device says it has."""

_live: weakref.WeakSet[Buffer] = weakref.WeakSet()
_streams: weakref.WeakValueDictionary[int, Stream] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def properties() -> dict[str, Any]:
    """What the device is."""
    return {"name": "simulator", "compute_capability": (0, 0), "multiprocessors": 2, "memory": MEMORY}


def memory_info() -> tuple[int, int]:
    """Bytes of the device that are free, and all."""
    with _lock:
        return MEMORY - sum(buffer.size for buffer in _live), MEMORY


class Buffer:
    """``size`` bytes of the device, full of 0xFF, from ``address``; given back when nobody holds it."""

    def __init__(self, size: int) -> None:
        self._memory = np.full(max(size, 1) + ALIGNMENT, 0xFF, np.uint8)
        self.size = size
        self.address = self._memory.ctypes.data + -self._memory.ctypes.data % ALIGNMENT
        with _lock:
            _live.add(self)


def allocate(size: int) -> Buffer:
    """``size`` bytes of the device."""
    return Buffer(size)


def pinned(size: int) -> NDArray[np.uint8]:
    """``size`` bytes of the host, full of 0xFF."""
    return np.full(size, 0xFF, np.uint8)


def order(first: int, second: int) -> None:
    """Let one stream wait for another; a handle that no stream has is an error."""
    for handle in (first, second):
        if handle not in _streams and handle not in DEFAULT_STREAMS:
            raise RuntimeError(f"{handle} is not the handle of a stream")


def known(address: int, size: int = 1) -> bool:
    """Whether the ``size`` bytes from ``address`` lie in one buffer of the device."""
    with _lock:
        buffers = list(_live)
    return any(buffer.address <= address and address + size <= buffer.address + max(buffer.size, 1) for buffer in buffers)


def _check(address: int, size: int) -> None:
    """An address that the device would not know is an error."""
    if not known(address, size):
        raise RuntimeError(f"{size} bytes at address {address} are not memory of the device")


@dataclass(frozen=True)
class Entry:
    """A unit as something to launch, the names and types of its parameters, and the variants that may run in its place."""

    unit: str
    parameters: dict[str, str]
    function: Callable[..., None]
    variants: tuple[tuple[Variant, Callable[..., None]], ...] = ()


Launch = tuple[Entry, int, Sequence[float]]
"""An entry, its number of blocks and its arguments."""


class Stream:
    """Does what it is told at once."""

    def __init__(self) -> None:
        _streams[self.handle] = self

    @property
    def handle(self) -> int:
        """The stream's name, for `order`."""
        return id(self)

    def upload(self, address: int, array: NDArray) -> None:
        """Copy a C-contiguous host array to the device."""
        _check(address, array.nbytes)
        ctypes.memmove(address, array.ctypes.data, array.nbytes)

    def download(self, array: NDArray, address: int) -> None:
        """Copy from the device into a C-contiguous host array; it is there after `synchronize`."""
        _check(address, array.nbytes)
        ctypes.memmove(array.ctypes.data, address, array.nbytes)

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy ``size`` bytes of the device to another place there."""
        _check(target, size)
        _check(source, size)
        ctypes.memmove(target, source, size)

    def launch(self, entry: Entry, blocks: int, arguments: Sequence[float]) -> None:
        """Run ``entry`` on ``blocks`` blocks."""
        kinds = zip(entry.parameters.items(), arguments, strict=True)
        values = {name: float(value) if kind == "float64" else int(value) for (name, kind), value in kinds}
        for name, kind in entry.parameters.items():
            if kind == "uint64" and values[name]:
                _check(int(values[name]), 1)
        function, shape, taken = prepared(entry.function, entry.variants, blocks, values, properties()["multiprocessors"])
        for tensor_map in taken:
            if isinstance(tensor_map, TensorMap):
                _check(tensor_map.address, 2 * tensor_map.rows * tensor_map.columns)
        options = {"cluster": shape.cluster, "shared_bytes": shape.shared_bytes}
        run_blocks(function, shape.blocks, shape.threads, tuple(taken), **options)

    def capture(self, launches: Iterable[Launch]) -> Graph:
        """Launches to repeat."""
        return Graph(self, list(launches))

    def synchronize(self) -> None:
        """Wait until all is done."""


@dataclass(frozen=True)
class Graph:
    """Launches that run one after another."""

    stream: Stream
    launches: list[Launch]

    def launch(self, times: int = 1) -> None:
        """Run them all ``times`` times."""
        for _ in range(times):
            for entry, blocks, arguments in self.launches:
                self.stream.launch(entry, blocks, arguments)


def ready(unit: str) -> bool:
    """Whether `load` has nothing to compile."""
    return True


def load(units: Iterable[str], progress: Callable[[int, int, str], None] | None = None) -> dict[str, Entry]:
    """The entry of every unit, with all variants."""
    units = list(units)
    functions = {unit: entry_function(unit, vars(ptx_simulated)) for unit in with_variants(units, None)}
    variants = {unit: ((VARIANTS[unit], functions[VARIANTS[unit].unit]),) for unit in units if unit in VARIANTS}
    return {unit: Entry(unit, unit_parameters(unit), functions[unit], variants.get(unit, ())) for unit in units}
