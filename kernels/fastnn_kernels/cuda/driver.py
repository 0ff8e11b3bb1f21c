"""A GPU: its memory and streams by the driver's functions, kernels and graphs by cuda.core. `device_simulated` has the same names.

One device, the first that ``CUDA_VISIBLE_DEVICES`` shows. Streams and memory may be used from any thread, one at a time.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import numpy as np
from cuda.bindings import driver
from cuda.core import Device, Kernel, LaunchConfig, TensorMapDescriptor, TensorMapDescriptorOptions, launch
from cuda.core.utils import StridedMemoryView
from numpy.typing import NDArray

from fastnn_kernels.cuda import objects, probe
from fastnn_kernels.cuda.adapters import unit_parameters
from fastnn_kernels.cuda.exchange import export as export
from fastnn_kernels.cuda.exchange import view as view
from fastnn_kernels.cuda.objects import Progress
from fastnn_kernels.cuda.tensor_map import BOX_COLUMNS, TensorMap
from fastnn_kernels.cuda.variants import VARIANTS, Shape, Variant, prepared, with_variants

_threads = threading.local()


def use() -> Device:
    """The device, made current for this thread."""
    if probe.forked():
        raise RuntimeError(probe.FORKED)
    if not hasattr(_threads, "device"):  # cuda.core keeps one Device a thread
        device = probe.first_device()
        device.set_current()
        _threads.device = device
    return _threads.device


def _call(function: Callable[..., tuple[Any, ...]], *arguments: Any) -> Any:
    """Call a function of the driver; its results without the status: None, the only one, or all."""
    return _results(function.__name__, *function(*arguments))


def _results(name: str, status: Any, *results: Any) -> Any:
    """What the driver's function ``name`` gave beside ``status``, which must be success."""
    if status != driver.CUresult.CUDA_SUCCESS:
        raise RuntimeError(f"{name} failed: {status.name}; a kernel that ran before may be the cause")
    return results if len(results) > 1 else results[0] if results else None


def properties() -> dict[str, Any]:
    """What the device is."""
    device = use()
    return {
        "name": device.name,
        "compute_capability": tuple(device.compute_capability),
        "multiprocessors": device.properties.multiprocessor_count,
        "memory": memory_info()[1],
    }


def memory_info() -> tuple[int, int]:
    """Bytes of the device that are free, and all."""
    use()
    free, total = _call(driver.cuMemGetInfo)
    return free, total


def known(address: int) -> bool:
    """Whether the byte at ``address`` is memory that the driver knows."""
    use()
    status, _ = driver.cuPointerGetAttribute(driver.CUpointer_attribute.CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL, address)
    if status == driver.CUresult.CUDA_ERROR_INVALID_VALUE:
        return False
    _results("cuPointerGetAttribute", status)
    return True


class Buffer:
    """``size`` bytes of the device from ``address``, a multiple of 256; given back when nobody holds it."""

    def __init__(self, size: int) -> None:
        use()
        status, address = driver.cuMemAlloc(max(size, 1))
        if status == driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            free, total = memory_info()
            raise MemoryError(
                f"{size:,} bytes were asked of the GPU, of whose {total:,} bytes {free:,} are free; "
                "a smaller batch_size needs less, and fastnn.config.set_sample_memory says how much the samples may take"
            )
        self.size, self.address = size, int(_results("cuMemAlloc", status, address))
        weakref.finalize(self, _free, self.address).atexit = False


def _free(address: int) -> None:
    """Waits for whatever still uses the memory."""
    if not probe.forked():
        use()
        driver.cuMemFree(address)


def allocate(size: int) -> Buffer:
    """``size`` bytes of the device; MemoryError says what was asked and what is free."""
    return Buffer(size)


class _Pinned:
    """Page-locked memory of the host, given back when no array lies in it."""

    def __init__(self, size: int) -> None:
        use()
        status, address = driver.cuMemAllocHost(max(size, 1))
        if status == driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY:
            raise MemoryError(f"{size:,} bytes of page-locked memory were asked of the host, which has not so many left")
        address = int(_results("cuMemAllocHost", status, address))
        self.__array_interface__ = {"version": 3, "shape": (size,), "typestr": "|u1", "data": (address, False)}
        weakref.finalize(self, _free_pinned, address).atexit = False


def _free_pinned(address: int) -> None:
    if not probe.forked():
        use()
        driver.cuMemFreeHost(address)


def pinned(size: int) -> NDArray[np.uint8]:
    """``size`` bytes of the host that are copied to and from the device while Python goes on."""
    return np.asarray(_Pinned(size))


def order(first: int, second: int) -> None:
    """Let what the stream ``second`` is given from now on wait for what the stream ``first`` was given; both by their handles."""
    use()
    event = _call(driver.cuEventCreate, driver.CUevent_flags.CU_EVENT_DISABLE_TIMING)
    try:
        _call(driver.cuEventRecord, event, first)
        _call(driver.cuStreamWaitEvent, second, event, 0)
    finally:
        driver.cuEventDestroy(event)


@dataclass(frozen=True)
class Entry:
    """A unit as something to launch, the names and types of its parameters, and the variants that may run in its place.

    ``multiprocessors``: the device's, which a variant's launch follows.
    """

    unit: str
    parameters: dict[str, str]
    kernel: Kernel
    multiprocessors: int
    variants: tuple[tuple[Variant, Kernel], ...] = ()


_entries: dict[str, Entry] = {}

Launch = tuple[Entry, int, Sequence[float]]
"""An entry, its number of blocks and its arguments."""


def _prepared(entry: Entry, blocks: int, arguments: Sequence[float]) -> tuple[Any, ...]:
    """What cuda.core launches: configuration, kernel and arguments, each of the Python type by which it knows the kernel's."""
    kinds = zip(entry.parameters.items(), arguments, strict=True)
    values = {name: float(value) if kind == "float64" else int(value) for (name, kind), value in kinds}
    kernel, shape, values_and_maps = prepared(entry.kernel, entry.variants, blocks, values, entry.multiprocessors)
    taken = [_descriptor(value) if isinstance(value, TensorMap) else value for value in values_and_maps]
    return _configuration(shape), kernel, *taken


@cache
def _configuration(shape: Shape) -> LaunchConfig:
    if shape.cluster == 1:
        return LaunchConfig(grid=shape.blocks, block=shape.threads, shmem_size=shape.shared_bytes)
    clusters = shape.blocks // shape.cluster
    return LaunchConfig(grid=clusters, cluster=shape.cluster, block=shape.threads, shmem_size=shape.shared_bytes)


@dataclass(frozen=True)
class _Matrix:
    """A map's matrix as cuda.core takes arrays."""

    tensor_map: TensorMap

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        shape = self.tensor_map.rows, self.tensor_map.columns
        return {"shape": shape, "typestr": "<u2", "data": (self.tensor_map.address, False), "strides": None, "version": 3}


@lru_cache(1024)
def _descriptor(tensor_map: TensorMap) -> TensorMapDescriptor:
    """The driver's form of a map; a launch, or a graph, copies it."""
    view = StridedMemoryView.from_any_interface(_Matrix(tensor_map), stream_ptr=-1)
    options = TensorMapDescriptorOptions(box_dim=(tensor_map.box_rows, BOX_COLUMNS))
    options.swizzle = type(options.swizzle).SWIZZLE_128B  # cuda.core has no public name for these types
    options.l2_promotion = type(options.l2_promotion).L2_256B
    return view.as_tensor_map(options=options)


class Stream:
    """A queue of work: what is given to it runs in order, beside other streams."""

    def __init__(self) -> None:
        self._stream = use().create_stream()

    @property
    def handle(self) -> int:
        """The driver's name of the stream, for `order` and for other libraries."""
        return int(self._stream.handle)

    def upload(self, address: int, array: NDArray) -> None:
        """Copy a C-contiguous host array to the device; the array may change afterwards, a `pinned` one when the copy is made."""
        if array.nbytes:
            use()
            _call(driver.cuMemcpyHtoDAsync, address, array.ctypes.data, array.nbytes, self._stream.handle)

    def download(self, array: NDArray, address: int) -> None:
        """Copy from the device into a C-contiguous host array; it is there after `synchronize`."""
        if array.nbytes:
            use()
            _call(driver.cuMemcpyDtoHAsync, array.ctypes.data, address, array.nbytes, self._stream.handle)

    def copy(self, target: int, source: int, size: int) -> None:
        """Copy ``size`` bytes of the device to another place there."""
        if size:
            use()
            _call(driver.cuMemcpyDtoDAsync, target, source, size, self._stream.handle)

    def launch(self, entry: Entry, blocks: int, arguments: Sequence[float]) -> None:
        """Run ``entry`` on ``blocks`` blocks."""
        use()
        launch(self._stream, *_prepared(entry, blocks, arguments))

    def capture(self, launches: Iterable[Launch]) -> Graph:
        """Launches as one graph, to repeat."""
        use()
        prepared_launches = [_prepared(*given) for given in launches]
        builder = self._stream.create_graph_builder().begin_building()
        try:
            for given in prepared_launches:
                launch(builder, *given)
        finally:
            builder.end_building()
        graph = builder.complete()
        graph.upload(self._stream)
        return Graph(self._stream, graph)

    def synchronize(self) -> None:
        """Wait until all is done; RuntimeError where a kernel failed."""
        use()
        _call(driver.cuStreamSynchronize, self._stream.handle)


@dataclass(frozen=True)
class Graph:
    """Launches that run one after another."""

    stream: Any
    graph: Any

    def launch(self, times: int = 1) -> None:
        """Run them all ``times`` times."""
        use()
        for _ in range(times):
            self.graph.launch(self.stream)


def ready(unit: str) -> bool:
    """Whether `load` has nothing to compile for ``unit``."""
    return objects.ready(unit, tuple(use().compute_capability))


def load(units: Iterable[str], progress: Progress | None = None) -> dict[str, Entry]:
    """The entry of every unit, compiled where neither this process nor the cache has it."""
    units, found = list(units), use()
    missing = [unit for unit in units if unit not in _entries]
    if missing:
        capability, multiprocessors = tuple(found.compute_capability), int(found.properties.multiprocessor_count)
        kernels = objects.load(with_variants(missing, capability), capability, progress)
        for unit in missing:
            _entries[unit] = Entry(unit, unit_parameters(unit), kernels[unit], multiprocessors, _variants(unit, kernels))
    return {unit: _entries[unit] for unit in units}


def _variants(unit: str, kernels: Mapping[str, Kernel]) -> tuple[tuple[Variant, Kernel], ...]:
    """The loaded variants of ``unit``, allowed the shared memory that they need."""
    variant = VARIANTS.get(unit)
    if variant is None or variant.unit not in kernels:
        return ()
    kernel, attribute = kernels[variant.unit], driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
    _call(driver.cuKernelSetAttribute, attribute, variant.shared_bytes, kernel.handle, _call(driver.cuDeviceGet, 0))
    return ((variant, kernel),)
