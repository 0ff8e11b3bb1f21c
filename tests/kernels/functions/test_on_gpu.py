"""Functions on arrays that lie on the GPU: results, places, streams, refusals; the reference's kernels in the simulator's memory.

The simulator's own kernels run where it is asked for; `tests/kernels/cuda/test_functions.py` is for a GPU as well.
"""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from typing import Any

import fastnn_kernels
import numpy as np
import pytest
from fastnn_kernels import DeviceArray, to_device
from fastnn_kernels.cuda import SIMULATED, device, foreign, streams
from fastnn_kernels.cuda import device_simulated as simulated

from tests.fastnn.engine import reference_gpu
from tests.foreign import LEGACY, LIBRARIES, OfCupy, OfJax, OfNumba, OfTorch

RNG = np.random.default_rng(0)


def _uniform(*shape: int) -> np.ndarray:
    return RNG.uniform(0.1, 0.9, shape).astype(np.float32)


X, DOUT, KERNEL, BIAS, ROWS = _uniform(3, 5, 4), _uniform(3, 5, 4), _uniform(4, 6), _uniform(6), _uniform(5, 4)
LABELS = RNG.integers(0, 4, (3, 5))

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("matmul", (ROWS, KERNEL), {"bias": BIAS, "activation": "relu"}),
    ("matmul", (ROWS, ROWS), {"transpose_a": True}),
    ("matmul", (ROWS[:, :0], KERNEL[:0]), {}),
    ("dense", (X, KERNEL, BIAS), {"activation": "tanh"}),
    *((name, (X,), {}) for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")),
    *((f"{name}_backward", (X, DOUT), {}) for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")),
    ("softmax_cross_entropy", (X, DOUT), {"weight": _uniform(3, 5), "scale": 0.5}),
    ("softmax_cross_entropy", (X, LABELS), {"ignore_class": 2}),
    ("sigmoid_cross_entropy", (X, DOUT), {"label_smoothing": 0.1}),
    ("mean_squared_error", (X, DOUT), {}),
]
each = pytest.mark.parametrize(("name", "inputs", "keywords"), CALLS, ids=[f"{call[0]}-{n}" for n, call in enumerate(CALLS)])


@pytest.fixture(autouse=True)
def _gpu(monkeypatch):
    if not SIMULATED:
        reference_gpu.install(monkeypatch)


def sent(values: Any, library: Any = to_device) -> Any:
    """Arrays among ``values``, as they lie on the GPU."""
    if isinstance(values, dict):
        return dict(zip(values, sent(tuple(values.values()), library), strict=True))
    return tuple(library(value) if isinstance(value, np.ndarray) else value for value in values)


def close(found: Any, wanted: Any) -> None:
    assert isinstance(found, DeviceArray)
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(found.copy_to_host(), wanted, rtol=2e-5, atol=2e-6)


@each
@pytest.mark.parametrize("library", [to_device, OfCupy])
def test_results_lie_on_the_gpu_and_are_those_of_the_host(name, inputs, keywords, library):
    function = getattr(fastnn_kernels, name)
    close(function(*sent(inputs, library), **sent(keywords, library)), function(*inputs, **keywords))


@each
def test_results_are_written_to_out(name, inputs, keywords):
    function = getattr(fastnn_kernels, name)
    wanted = function(*inputs, **keywords)
    for library in (OfCupy, OfTorch):
        out = library(np.full_like(wanted, np.nan))
        assert function(*sent(inputs, library), **sent(keywords, library), out=out) is out
        np.testing.assert_allclose(out.array, wanted, rtol=2e-5, atol=2e-6)


def test_out_may_be_an_input():
    x = OfTorch(X)
    assert fastnn_kernels.softmax(x, out=x) is x
    np.testing.assert_allclose(x.array, fastnn_kernels.softmax(X), rtol=1e-6)


def test_gradients_are_written_where_they_are_asked_for():
    slopes, wanted = OfCupy(np.empty_like(X)), np.empty_like(X)
    fastnn_kernels.softmax_cross_entropy(OfCupy(X), OfCupy(LABELS), dlogits=slopes)
    fastnn_kernels.softmax_cross_entropy(X, LABELS, dlogits=wanted)
    np.testing.assert_allclose(slopes.array, wanted, rtol=2e-5, atol=2e-6)
    dx = OfTorch(np.empty_like(X))
    found = fastnn_kernels.dense_backward(OfTorch(X), OfTorch(KERNEL), OfTorch(_uniform(3, 5, 6)), out=(dx, None, None))
    assert found[0] is dx
    assert found[1].shape == KERNEL.shape


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(
    ("name", "state", "keywords"),
    [
        ("sgd", ("velocity",), {"momentum": 0.9}),
        ("adagrad", ("accumulator",), {}),
        ("rmsprop", ("velocity",), {}),
        ("adam", ("m", "v"), {"step": 3}),
    ],
)
def test_updates_change_arrays_of_other_libraries_in_place(library, name, state, keywords):
    function, grads = getattr(fastnn_kernels, name), _uniform(7, 3)
    host = {"params": _uniform(7, 3), **{key: _uniform(7, 3) for key in state}}
    there = {key: library(value) for key, value in host.items()}
    function(**there, grads=library(grads), **keywords)
    function(**host, grads=grads, **keywords)
    for key, value in host.items():
        np.testing.assert_allclose(there[key].array, value, rtol=1e-5, atol=1e-6, err_msg=key)


def test_a_transposed_matrix_is_read_as_it_is():
    by_columns = OfTorch(ROWS, order="F")
    close(fastnn_kernels.matmul(by_columns, to_device(KERNEL)), fastnn_kernels.matmul(ROWS, KERNEL))
    close(fastnn_kernels.matmul(to_device(ROWS).T, to_device(ROWS)), fastnn_kernels.matmul(ROWS.T, ROWS))


def test_what_does_not_fit_is_refused_by_name():
    x, there = to_device(X), sent((DOUT, KERNEL, LABELS))
    refused = (
        (lambda: fastnn_kernels.relu_backward(x, DOUT), TypeError, r"dout lies on the host, but x on the GPU; .*to_device\(dout\)"),
        (lambda: fastnn_kernels.relu_backward(X, there[0]), TypeError, "dout lies on the GPU, but x on the host"),
        (lambda: fastnn_kernels.dense(x, there[1], [0.0] * 6), TypeError, "bias lies on the host, but x on the GPU"),
        (lambda: fastnn_kernels.relu(x, out=np.empty_like(X)), TypeError, "out lies on the host, but x on the GPU"),
        (lambda: fastnn_kernels.relu(X, out=to_device(X)), TypeError, "out lies on the GPU, but x on the host"),
        (lambda: fastnn_kernels.relu(x, out=[]), TypeError, "out is written in place and must be an array on the GPU, got list"),
        (lambda: fastnn_kernels.softmax_cross_entropy(x, LABELS), TypeError, "target lies on the host, but logits on the GPU"),
        (lambda: fastnn_kernels.sgd(x, DOUT), TypeError, "grads lies on the host, but params on the GPU"),
        (lambda: fastnn_kernels.relu(OfTorch(X.astype("float16"))), TypeError, r"x must be float32 .* float16; x\.astype"),
        (lambda: fastnn_kernels.relu(OfCupy(LABELS)), TypeError, "x must be float32 or float64, got int64"),
        (lambda: fastnn_kernels.relu(OfTorch(ROWS, order="F")), ValueError, r"x lies on the GPU and is not C-contig"),
        (lambda: fastnn_kernels.relu(x, out=OfCupy(X, readonly=True)), ValueError, "out is read-only"),
        (lambda: fastnn_kernels.relu(x, out=OfTorch(X.T, order="F")), ValueError, "out must have shape"),
        (lambda: fastnn_kernels.relu(OfJax(X, number=1)), ValueError, "x lies on GPU 1; GPU 0 alone is used"),
        (lambda: fastnn_kernels.relu(x, workers=0), ValueError, "workers must be None or an integer from 1"),
        (lambda: fastnn_kernels.sgd(x, x), ValueError, "params and grads share memory"),
        (lambda: fastnn_kernels.softmax_cross_entropy(x, to_device(LABELS + 9)), ValueError, "target must hold labels from 0 to 3"),
    )
    for call, error, message in refused:
        with pytest.raises(error, match=message):
            call()


def test_a_tensor_that_requires_a_gradient_is_refused():
    tensor = OfTorch(X)
    tensor.requires_grad = True
    with pytest.raises(TypeError, match=r"x requires a gradient, which is lost here; x\.detach\(\)"):
        fastnn_kernels.relu(tensor)


class Told(OfNumba):
    """What its interface says can be changed."""

    more: dict[str, Any] = {}  # noqa: RUF012

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return {**super().__cuda_array_interface__, **self.more}


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"mask": np.ones(3)}, "x has a mask; fill what it hides first"),
        ({"version": 99}, "x has version 99 of the CUDA array interface; 3 is read"),
        ({"data": (0, False)}, "x lies at address 0x0, which no array of float32 can have"),
        ({"data": (4098, False)}, "x lies at address 0x1002, which"),
        ({"data": (4096, False)}, "x takes 240 bytes from address 0x1000 on, which are not all memory of the GPU"),
        ({"shape": (1 << 40, 8)}, "x takes 35184372088832 bytes from"),
        ({"shape": (-5, 8)}, "x"),
    ],
)
def test_an_interface_that_cannot_be_true_is_refused(more, message):
    told = Told(X)
    told.more = more
    with pytest.raises(ValueError, match=message):
        fastnn_kernels.relu(told)


def test_bfloat16_is_given_by_its_bits():
    bits = fastnn_kernels.to_bfloat16(ROWS)
    array = fastnn_kernels.to_device(bits)
    wanted = fastnn_kernels.matmul_bfloat16(bits, bits, transpose_b=True)
    np.testing.assert_allclose(fastnn_kernels.matmul_bfloat16(array, array, transpose_b=True).copy_to_host(), wanted, rtol=1e-5)
    with pytest.raises(ValueError, match="x lies on the GPU and is not C-contiguous"):
        fastnn_kernels.to_bfloat16(fastnn_kernels.to_device(X).T)


def test_what_is_no_number_does_not_go_to_the_gpu():
    for values in (np.array([object()]), np.array(["a"]), np.array(["2020-01-01"], "M8[D]")):
        with pytest.raises(TypeError, match="array must hold numbers"):
            fastnn_kernels.to_device(values)


def test_an_array_on_the_gpu_is_not_copied_by_python():
    array = fastnn_kernels.to_device(X)
    for call in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="neither copied nor pickled; copy_to_host"):
            call(array)
    assert array.reshape(np.int64(-1)).shape == (X.size,)


def test_without_a_gpu_the_reason_is_told(monkeypatch):
    monkeypatch.setitem(vars(device), "why_not", lambda: "there is no driver")
    with pytest.raises(RuntimeError, match=r"x lies on a GPU, and none can be used: there is no driver\. A copy on the host"):
        fastnn_kernels.relu(OfCupy(X))


def test_the_same_bits_for_any_number_of_blocks():
    results = {fastnn_kernels.relu(to_device(X), workers=workers).copy_to_host().tobytes() for workers in (1, 2, 7)}
    assert len(results) == 1


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
