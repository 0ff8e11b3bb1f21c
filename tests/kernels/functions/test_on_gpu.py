"""Functions on arrays that lie on the GPU: results, places, refusals; the reference's kernels in the simulator's memory.

The simulator's own kernels run where it is asked for; `tests/kernels/cuda/test_functions.py` is for a GPU as well.
"""

from __future__ import annotations

import copy
import pickle
from typing import Any

import fastnn_kernels
import numpy as np
import pytest
from fastnn_kernels import DeviceArray, to_device
from fastnn_kernels.cuda import device

from tests.foreign import LIBRARIES, OfCupy, OfJax, OfNumba, OfTorch
from tests.kernels.functions.on_gpu import BIAS, DOUT, KERNEL, LABELS, ROWS, X, install, uniform

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("matmul", (ROWS, KERNEL), {"bias": BIAS, "activation": "relu"}),
    ("matmul", (ROWS, ROWS), {"transpose_a": True}),
    ("matmul", (ROWS[:, :0], KERNEL[:0]), {}),
    ("dense", (X, KERNEL, BIAS), {"activation": "tanh"}),
    *((name, (X,), {}) for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")),
    *((f"{name}_backward", (X, DOUT), {}) for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")),
    ("softmax_cross_entropy", (X, DOUT), {"weight": uniform(3, 5), "scale": 0.5}),
    ("softmax_cross_entropy", (X, LABELS), {"ignore_class": 2}),
    ("sigmoid_cross_entropy", (X, DOUT), {"label_smoothing": 0.1}),
    ("mean_squared_error", (X, DOUT), {}),
]
each = pytest.mark.parametrize(("name", "inputs", "keywords"), CALLS, ids=[f"{call[0]}-{n}" for n, call in enumerate(CALLS)])


@pytest.fixture(autouse=True)
def _gpu(monkeypatch):
    install(monkeypatch)


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
    found = fastnn_kernels.dense_backward(OfTorch(X), OfTorch(KERNEL), OfTorch(uniform(3, 5, 6)), out=(dx, None, None))
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
    function, grads = getattr(fastnn_kernels, name), uniform(7, 3)
    host = {"params": uniform(7, 3), **{key: uniform(7, 3) for key in state}}
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
        ({"shape": (-5, 8)}, r"x has the shape \(-5, 8\), whose sizes must be integers of at least 0"),
        ({"shape": ("a",)}, r"x has the shape \('a',\), whose sizes must be integers"),
        ({"strides": (-80, 16, 4)}, r"x has steps below 0, \(-20, 4, 1\); make a contiguous copy of it"),
        ({"strides": (4,)}, r"x, a Told, cannot be read on the GPU: shape has 3 sizes, but strides has 1 elements\."),
        ({"strides": (80, 16, 6)}, r"x, a Told, cannot be read on the GPU: strides must be divisible by itemsize\."),
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
