"""What can be said of the driver's half without a GPU: errors, a fork, what is called with what."""

import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from tests.foreign import OfJax, OfNumba, OfTorch

NEEDS_NO_DEVICE = True


@pytest.fixture
def driver(monkeypatch):
    """`fastnn_kernels.cuda.driver` on a device that is none."""
    pytest.importorskip("cuda.core", reason="needs the packages of an extra: cuda13 or cuda12")
    from fastnn_kernels.cuda import driver

    device = SimpleNamespace(create_stream=lambda: SimpleNamespace(handle=7), properties=SimpleNamespace(multiprocessor_count=132))
    monkeypatch.setattr(driver, "_entries", {})
    monkeypatch.setattr(driver._threads, "device", device, raising=False)
    return driver


@pytest.fixture
def calls(driver, monkeypatch):
    """Calls of the driver's functions, by name; `results` holds what they return beside success."""
    calls, success = [], driver.driver.CUresult.CUDA_SUCCESS
    host = np.zeros(64, np.uint8)
    results = {
        **{"cuMemAlloc": (4096,), "cuMemGetInfo": (300, 1000)},
        **{"cuMemAllocHost": (host.ctypes.data,), "cuEventCreate": ("event",)},
    }

    def record(name):
        def function(*arguments, host=host):
            calls.append((name, *arguments))
            return success, *results.get(name, ())

        function.__name__ = name
        return function

    for name in (
        *("cuMemAlloc", "cuMemFree", "cuMemGetInfo", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuStreamSynchronize"),
        *("cuMemAllocHost", "cuMemFreeHost", "cuMemcpyDtoDAsync"),
        *("cuEventCreate", "cuEventRecord", "cuStreamWaitEvent", "cuEventDestroy"),
    ):
        monkeypatch.setattr(driver.driver, name, record(name))
    return calls


def test_memory_is_given_back(driver, calls):
    buffer = driver.allocate(100)
    assert (buffer.address, buffer.size) == (4096, 100)
    del buffer
    assert calls == [("cuMemAlloc", 100), ("cuMemFree", 4096)]


def test_out_of_memory_says_what_was_asked_and_what_is_free(driver, calls, monkeypatch):
    monkeypatch.setattr(driver.driver, "cuMemAlloc", lambda size: (driver.driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY, 0))
    with pytest.raises(MemoryError, match=r"12,345 bytes were asked of the GPU, of whose 1,000 bytes 300 are free"):
        driver.allocate(12345)


def test_copies_run_on_the_stream(driver, calls):
    stream, array = driver.Stream(), np.zeros(3, np.float32)
    stream.upload(4096, array)
    stream.download(array, 4096)
    stream.upload(4096, array[:0])
    stream.synchronize()
    host = array.ctypes.data
    assert calls == [("cuMemcpyHtoDAsync", 4096, host, 12, 7), ("cuMemcpyDtoHAsync", host, 4096, 12, 7), ("cuStreamSynchronize", 7)]


def test_memory_that_is_free(driver, calls):
    assert driver.memory_info() == (300, 1000)


def test_pinned_memory_goes_with_its_last_array(driver, calls):
    part = driver.pinned(64)[8:16]
    part[...] = 7
    assert len(calls) == 1
    address = part.ctypes.data - 8
    del part
    assert calls == [("cuMemAllocHost", 64), ("cuMemFreeHost", address)]


def test_without_page_locked_memory_the_host_is_named(driver, calls, monkeypatch):
    monkeypatch.setattr(driver.driver, "cuMemAllocHost", lambda size: (driver.driver.CUresult.CUDA_ERROR_OUT_OF_MEMORY, 0))
    with pytest.raises(MemoryError, match="12,345 bytes of page-locked memory were asked of the host"):
        driver.pinned(12345)


def test_an_address_is_known_or_not(driver, monkeypatch):
    status = driver.driver.CUresult
    monkeypatch.setattr(driver.driver, "cuPointerGetAttribute", lambda attribute, address: (answers[address], 0))
    answers = {4096: status.CUDA_SUCCESS, 8192: status.CUDA_ERROR_INVALID_VALUE, 1: status.CUDA_ERROR_ILLEGAL_ADDRESS}
    assert (driver.known(4096), driver.known(8192)) == (True, False)
    with pytest.raises(RuntimeError, match="CUDA_ERROR_ILLEGAL_ADDRESS"):
        driver.known(1)


def test_one_stream_waits_for_another(driver, calls):
    driver.order(5, 6)
    timing = driver.driver.CUevent_flags.CU_EVENT_DISABLE_TIMING
    record, wait = ("cuEventRecord", "event", 5), ("cuStreamWaitEvent", 6, "event", 0)
    assert calls == [("cuEventCreate", timing), record, wait, ("cuEventDestroy", "event")]
    assert driver.Stream().handle == 7


def test_copies_on_the_device_run_on_the_stream(driver, calls):
    driver.Stream().copy(4096, 8192, 12)
    driver.Stream().copy(4096, 8192, 0)
    assert calls == [("cuMemcpyDtoDAsync", 4096, 8192, 12, 7)]


@pytest.mark.parametrize("library", [OfTorch, OfJax])
def test_arrays_of_other_libraries_are_read_by_cuda_core(driver, library):
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    for order in "CF":
        x = library(values, order=order)
        found = driver.view(x, 77)
        assert (found.address, found.shape, found.dtype, found.device) == (x.array.ctypes.data, (2, 3), np.float32, 0)
        assert tuple(found.strides) == ((3, 1) if order == "C" else (1, 2))
        assert x.readers == [77]
        assert not found.readonly
    assert driver.view(library(values, readonly=True), 77).readonly
    held = weakref.ref(x)
    del x
    assert held() is not None
    del found
    assert held() is None


def test_what_cuda_core_cannot_read_is_told_by_the_arguments_name(driver, calls, monkeypatch):
    from fastnn_kernels.cuda import device, foreign, streams

    monkeypatch.setitem(vars(device), "why_not", lambda: None)
    for name in ("Stream", "view", "order"):
        monkeypatch.setitem(vars(device), name, getattr(driver, name))
    monkeypatch.setattr(streams, "_threads", threading.local())

    class OfAnOldLibrary(OfNumba):
        @property
        def __cuda_array_interface__(self):
            return self.interface(version=2)

    with pytest.raises(ValueError, match=r"x has version 2 of the CUDA array interface; 3 is read"):
        foreign.read(OfAnOldLibrary(np.zeros(3)), "x")


def test_arrays_are_exported_by_cuda_core(driver, monkeypatch):
    from fastnn_kernels.cuda import exchange
    from fastnn_kernels.cuda.arrays import DeviceArray

    asked = []
    capsule = SimpleNamespace(__dlpack__=lambda **keywords: asked.append(keywords) or "capsule")
    memory = SimpleNamespace(from_handle=lambda *arguments, owner: asked.append((*arguments, owner)) or "buffer")
    view = SimpleNamespace(from_buffer=lambda *arguments, **keywords: asked.append((*arguments, keywords)) or capsule)
    monkeypatch.setattr(exchange, "Buffer", memory)
    monkeypatch.setattr(exchange, "StridedMemoryView", view)
    array = DeviceArray(4096, (2, 3), "float32", "owner", strides=(1, 2))
    assert driver.export(array, (1, 0)) == "capsule"
    how = {"dtype": array.dtype, "is_readonly": False}
    assert asked == [(4096, 24, array), ("buffer", (2, 3), (1, 2), how), {"stream": -1, "max_version": (1, 0)}]


def test_a_failure_of_the_driver_has_its_name(driver, calls, monkeypatch):
    def cuStreamSynchronize(stream):  # noqa: N802
        return (driver.driver.CUresult.CUDA_ERROR_ILLEGAL_ADDRESS,)

    monkeypatch.setattr(driver.driver, "cuStreamSynchronize", cuStreamSynchronize)
    with pytest.raises(RuntimeError, match="cuStreamSynchronize failed: CUDA_ERROR_ILLEGAL_ADDRESS"):
        driver.Stream().synchronize()


def test_a_forked_child_is_told(driver, calls, monkeypatch):
    from fastnn_kernels.cuda import probe

    buffer = driver.allocate(8)
    for name, value in (("_used", True), ("_forked", False)):
        monkeypatch.setattr(probe, name, value)
    probe._after_fork()
    with pytest.raises(RuntimeError, match=r"forked from one that used the GPU.*spawn"):
        driver.Stream()
    assert probe.why_not() == probe.FORKED
    del buffer  # it is the parent's
    assert calls == [("cuMemAlloc", 8)]


def test_kernels_run_as_launched_and_as_a_graph(driver, monkeypatch):
    done = []
    graph = SimpleNamespace(upload=lambda stream: done.append("upload"), launch=lambda stream: done.append("graph"))
    builder = SimpleNamespace(end_building=lambda: done.append("end"), complete=lambda: graph)
    builder.begin_building = lambda: builder
    monkeypatch.setattr(driver._threads.device, "create_stream", lambda: SimpleNamespace(create_graph_builder=lambda: builder))
    monkeypatch.setattr(
        driver, "launch", lambda queue, shape, kernel, *arguments: done.append((queue is builder, shape.grid, arguments))
    )
    stream, entry = driver.Stream(), driver.Entry("an entry", {"address": "uint64", "rate": "float64"}, None, 132)
    stream.launch(entry, 3, (1, 2.5))
    stream.capture([(entry, 2, (np.int64(7), 0))]).launch(times=2)
    assert done == [(False, (3, 1, 1), (1, 2.5)), (True, (2, 1, 1), (7, 0.0)), "end", "upload", "graph", "graph"]
    assert [type(argument) for argument in done[1][2]] == [int, float]  # by their types cuda.core knows the kernel's


def test_a_variant_is_launched_in_its_own_way(driver, calls, monkeypatch):
    from fastnn_kernels.cuda.adapters import unit_parameters
    from fastnn_kernels.cuda.tensor_map import TensorMap
    from fastnn_kernels.cuda.variants import VARIANTS, Shape

    done, variant, parameters = [], VARIANTS["matmul_bfloat16"], unit_parameters("matmul_bfloat16")
    sizes = dict.fromkeys(("A0", "A1", "B0", "B1", "M", "N"), 4096)
    arguments = [sizes.get(name, 256 if name.endswith("_address") else 0) for name in parameters]
    monkeypatch.setattr(driver, "_configuration", lambda shape: shape)
    monkeypatch.setattr(driver, "_descriptor", lambda tensor_map: tensor_map)
    monkeypatch.setattr(driver, "launch", lambda queue, *launched: done.append(launched))
    entry = driver.Entry("matmul_bfloat16", parameters, "own", 132, ((variant, "variant"),))
    driver.Stream().launch(entry, 528, arguments)
    driver.Stream().launch(entry, 3, [*arguments[:1], 264, *arguments[2:]])  # an address that does not suit
    (shape, kernel, *given), (other, own, *_) = done
    assert (kernel, shape.blocks, shape.threads, shape.cluster, shape.shared_bytes) == (
        "variant",
        132,
        384,
        2,
        variant.shared_bytes,
    )
    assert given[-2:] == [TensorMap(256, 4096, 4096, 128), TensorMap(256, 4096, 4096, 64)]
    assert (own, other) == ("own", Shape(3))


@pytest.mark.parametrize(("cluster", "grid"), [(1, 6), (2, 3)])
def test_a_grid_is_counted_in_clusters(driver, monkeypatch, cluster, grid):
    from fastnn_kernels.cuda.variants import Shape

    monkeypatch.setattr(driver, "LaunchConfig", lambda **options: options)
    found = driver._configuration.__wrapped__(Shape(6, 384, cluster, 1000))
    assert {"cluster": 1, **found} == {"grid": grid, "cluster": cluster, "block": 384, "shmem_size": 1000}


def test_variants_are_allowed_their_shared_memory(driver, calls, monkeypatch):
    from fastnn_kernels.cuda.variants import VARIANTS

    done, success = [], driver.driver.CUresult.CUDA_SUCCESS
    loaded = {
        unit: SimpleNamespace(handle=f"handle of {unit}") for unit in ("matmul_bfloat16", "matmul_bfloat16-wgmma", "relu-float32")
    }
    monkeypatch.setattr(driver._threads.device, "compute_capability", (9, 0), raising=False)
    monkeypatch.setattr(driver.objects, "load", lambda units, capability, progress: {unit: loaded[unit] for unit in units})
    monkeypatch.setattr(driver.driver, "cuDeviceGet", lambda number: (success, f"device {number}"))
    monkeypatch.setattr(driver.driver, "cuKernelSetAttribute", lambda *call: done.append(call) or (success,))
    entries = driver.load(["matmul_bfloat16", "relu-float32"])
    variant, kernel = VARIANTS["matmul_bfloat16"], loaded["matmul_bfloat16-wgmma"]
    assert {unit: entry.variants for unit, entry in entries.items()} == {
        "matmul_bfloat16": ((variant, kernel),),
        "relu-float32": (),
    }
    assert entries["relu-float32"].multiprocessors == 132
    assert driver.load(["relu-float32", "matmul_bfloat16"]) == entries
    assert [call[1:] for call in done] == [(variant.shared_bytes, kernel.handle, "device 0")]  # once, whatever is loaded again
    monkeypatch.setattr(driver, "_entries", {})
    monkeypatch.setattr(driver._threads.device, "compute_capability", (8, 0))
    assert driver.load(["matmul_bfloat16"])["matmul_bfloat16"].variants == ()


def test_a_map_is_made_of_the_matrix_that_it_describes(driver, monkeypatch):
    from fastnn_kernels.cuda.tensor_map import TensorMap

    def view(matrix, stream_ptr):
        assert matrix.__cuda_array_interface__["data"] == (4096, False)
        assert matrix.__cuda_array_interface__["shape"] == (300, 40)
        return SimpleNamespace(as_tensor_map=lambda options: options)

    monkeypatch.setattr(driver, "StridedMemoryView", SimpleNamespace(from_any_interface=view))
    options = driver._descriptor.__wrapped__(TensorMap(4096, 300, 40, 128))
    assert options.box_dim == (128, 64)
    assert (options.swizzle.name, options.l2_promotion.name) == ("SWIZZLE_128B", "L2_256B")
