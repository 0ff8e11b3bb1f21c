"""Arrays that lie on the GPU: in whose order they are used, how long they live, and what they are to other libraries."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import fastnn_kernels
import numpy as np
import pytest
from fastnn_kernels import to_device
from fastnn_kernels.cuda import call, device, foreign, streams
from fastnn_kernels.cuda import device_simulated as simulated

from tests.foreign import LEGACY, LIBRARIES, OfCupy, OfJax, OfNumba, OfTorch
from tests.kernels.functions.on_gpu import ROWS, X, install


@pytest.fixture(autouse=True)
def _gpu(monkeypatch):
    install(monkeypatch)


# -- streams and lifetimes ---------------------------------------------------------------------------------------------------


@pytest.fixture
def orders(monkeypatch):
    """Pairs of streams, one of which waits for the other; and where Python waited."""
    found: list[Any] = []
    monkeypatch.setitem(vars(device), "order", lambda first, second: found.append((first, second)))
    monkeypatch.setattr(device.Stream, "synchronize", lambda stream: found.append(stream.handle))
    return found


def test_the_callers_stream_waits_for_the_kernel_and_the_kernel_for_it(orders):
    own = streams.own_stream().handle
    fastnn_kernels.relu(OfCupy(X), out=OfCupy(X))
    assert orders == [(LEGACY, own), (own, LEGACY)]


@pytest.mark.parametrize("library", [OfNumba, OfTorch, OfJax])
def test_where_no_stream_is_known_the_call_ends_with_the_work(orders, library):
    own, x = streams.own_stream().handle, library(X)
    fastnn_kernels.relu(x)
    assert orders == [own]
    assert x.readers == ([] if library is OfNumba else [own])  # told to the library, which orders its own streams before


def test_own_arrays_follow_one_another_on_the_threads_stream(orders):
    array = to_device(X)
    orders.clear()
    fastnn_kernels.tanh(fastnn_kernels.relu(array))
    assert orders == []


def test_an_array_of_another_thread_is_used_in_order(orders):
    made = []
    thread = threading.Thread(target=lambda: made.append(to_device(X)))
    thread.start()
    thread.join()
    orders.clear()
    own = streams.own_stream().handle
    fastnn_kernels.relu(made[0])
    assert made[0].stream != own
    assert orders == [(made[0].stream, own), (own, made[0].stream)]


def test_a_reader_is_ordered_after_the_work(orders):
    own, array = streams.own_stream().handle, to_device(X)
    for stream, waits in ((None, [(own, LEGACY)]), (2, [(own, 2)]), (77, [(own, 77)]), (-1, []), (own, [])):
        result = fastnn_kernels.relu(array)
        assert result.__cuda_array_interface__["stream"] == own
        orders.clear()
        result.__dlpack__(stream=stream)
        assert orders == waits
        assert result.stream is None  # the reader's work is in an order that nobody knows
    with pytest.raises(ValueError, match="stream=0 is ambiguous"):
        result.__dlpack__(stream=0)


def test_memory_lives_as_long_as_somebody_holds_it():
    result = fastnn_kernels.relu(to_device(X))
    part, buffer = result[1:].reshape(-1).T, weakref.ref(result.owner[0])
    capsule = result.__dlpack__()
    del result
    gc.collect()
    assert buffer() is not None
    np.testing.assert_array_equal(part.copy_to_host(), X[1:].ravel())
    del part
    gc.collect()
    assert buffer() is not None  # by the capsule
    del capsule
    gc.collect()
    assert buffer() is None


def test_scratch_of_an_interrupted_product_is_dropped(monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    x = to_device(np.ones((2, 2), np.float32))
    fastnn_kernels.matmul(x, x)
    kept = call.scratch(x.dtype)
    with monkeypatch.context() as patched:
        patched.setattr(device.Stream, "launch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fastnn_kernels.matmul(x, x)
    assert call.scratch(x.dtype) is not kept


def test_a_view_holds_the_array_of_the_other_library():
    x = OfTorch(X)
    held, view = weakref.ref(x), foreign.read(x, "x")
    del x
    gc.collect()
    assert held() is not None
    del view
    gc.collect()
    assert held() is None


# -- the array itself --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", LIBRARIES)
def test_arrays_of_other_libraries_are_read_where_they_lie(library):
    for order in "CF":
        x = library(ROWS, order=order)
        found = foreign.read(x, "x")
        assert (found.address, found.shape, found.dtype) == (x.array.ctypes.data, ROWS.shape, np.float32)
        assert found.contiguous == (order == "C")
        np.testing.assert_array_equal(found.copy_to_host(), ROWS)


def test_an_array_speaks_both_protocols():
    array = to_device(ROWS)
    for one in (array, array.T, array[1:3]):
        interface, host = one.__cuda_array_interface__, one.copy_to_host()
        assert interface["version"] == 3
        assert interface["data"] == (one.address, False)
        assert (interface["shape"], interface["typestr"]) == (host.shape, "<f4")
        assert one.__dlpack_device__() == (2, 0)
        found = device.view(one, streams.own_stream().handle)
        assert (found.address, found.shape, found.dtype) == (one.address, one.shape, one.dtype)
    assert array.T.__cuda_array_interface__["strides"] == (4, 16)
    for refused in ({"copy": True}, {"dl_device": (1, 0)}):
        with pytest.raises(BufferError, match="handed over where it lies"):
            array.__dlpack__(**refused)


def test_an_array_comes_to_the_host_when_it_is_asked_to():
    array = to_device(ROWS)
    np.testing.assert_array_equal(np.asarray(array), ROWS)
    np.testing.assert_array_equal(array.numpy(), ROWS)
    np.testing.assert_array_equal(array.T.copy_to_host(), ROWS.T)
    assert np.asarray(array, "float64").dtype == np.float64
    assert to_device(ROWS[:0]).copy_to_host().shape == (0, 4)
    assert repr(array) == "<DeviceArray shape=(5, 4), dtype=float32>"
    with pytest.raises(ValueError, match="comes to the host as a copy"):
        np.array(array, copy=False)
    with pytest.raises(TypeError):
        array + np.ones(4)
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(array)


def test_parts_and_shapes_are_views():
    array = to_device(X)
    assert (len(array), array.ndim, array.size, array.nbytes, array.span) == (3, 3, 60, 240, 240)
    np.testing.assert_array_equal(array[1:].copy_to_host(), X[1:])
    np.testing.assert_array_equal(array[5:].copy_to_host(), X[5:])
    np.testing.assert_array_equal(array.reshape(-1, 2).copy_to_host(), X.reshape(-1, 2))
    assert array.reshape((15, 4, 1)).address == array.address
    for wrong, error, message in (
        (lambda: array.reshape(7, -1), ValueError, "cannot become"),
        (lambda: array.T.reshape(60), ValueError, "cannot be reshaped without a copy"),
        (lambda: array[::2], ValueError, "side by side"),
        (lambda: array[0], TypeError, "gives rows"),
        (lambda: len(to_device(1.0)), TypeError, "no length"),
    ):
        with pytest.raises(error, match=message):
            wrong()


def test_what_is_no_array_on_a_gpu():
    for value in (X, [1.0], 2.0, "text", None, np.float32(1), object(), OfCupy):
        assert not foreign.on_device(value)
    assert all(foreign.on_device(library(X)) for library in (*LIBRARIES, to_device))


def test_memory_of_the_device_is_counted():
    gc.collect()
    free, total = device.memory_info()
    held = device.allocate(1 << 20)
    assert device.memory_info() == (free - held.size, simulated.MEMORY)
    assert 0 < free <= total
