"""What can be said of the driver's half without a GPU: errors, a fork, what is called with what."""

from types import SimpleNamespace

import numpy as np
import pytest

NEEDS_NO_DEVICE = True


@pytest.fixture
def driver(monkeypatch):
    """`fastnn_kernels.cuda.driver` on a device that is none."""
    pytest.importorskip("cuda.core", reason="needs the packages of an extra: cuda13 or cuda12")
    from fastnn_kernels.cuda import driver

    device = SimpleNamespace(create_stream=lambda: SimpleNamespace(handle=7), properties=SimpleNamespace(multiprocessor_count=132))
    monkeypatch.setattr(driver._threads, "device", device, raising=False)
    return driver


@pytest.fixture
def calls(driver, monkeypatch):
    """Calls of the driver's functions, by name; `results` holds what they return beside success."""
    calls, success = [], driver.driver.CUresult.CUDA_SUCCESS
    results = {"cuMemAlloc": (4096,), "cuMemGetInfo": (300, 1000)}

    def record(name):
        def function(*arguments):
            calls.append((name, *arguments))
            return success, *results.get(name, ())

        function.__name__ = name
        return function

    for name in ("cuMemAlloc", "cuMemFree", "cuMemGetInfo", "cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuStreamSynchronize"):
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
    stream, entry = driver.Stream(), driver.Entry("an entry", {"address": "uint64", "rate": "float64"}, None)
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
    entry = driver.Entry("matmul_bfloat16", parameters, "own", ((variant, "variant"),))
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
    assert [call[1:] for call in done] == [(variant.shared_bytes, kernel.handle, "device 0")]
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
