"""Activations: shapes of every kind, relu's parameters, gradients, large values."""

from __future__ import annotations

from functools import partial
from typing import Any

import fastnn_kernels
import numpy as np
import pytest
from fastnn_kernels import log_softmax, relu, relu_backward, softmax
from fastnn_kernels.reference.kernels import KERNELS

ELEMENTWISE = ("relu", "sigmoid", "tanh")
OVER_ROWS = ("softmax", "log_softmax")


@pytest.mark.parametrize("name", [name + suffix for name in ELEMENTWISE for suffix in ("", "_backward")])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (2, 3, 4, 5), (3, 0, 2)])
def test_elementwise_on_any_shape(name: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(2, *shape))
    inputs = x[:1] if name in ELEMENTWISE else x
    limits, wanted = (0.0, np.inf, 0.0) if "relu" in name else (), np.empty(x[0].size)
    accumulate = (0,) if name.endswith("backward") else ()
    KERNELS[name](*(array.ravel() for array in inputs), wanted, *limits, *accumulate)
    out = getattr(fastnn_kernels, name)(*inputs)
    assert isinstance(out, np.ndarray)
    np.testing.assert_allclose(out, wanted.reshape(shape), rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("name", [name + suffix for name in OVER_ROWS for suffix in ("", "_backward")])
@pytest.mark.parametrize("shape", [(1,), (7,), (0, 7), (2, 3, 7)])
def test_over_the_last_axis(name: str, shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(2, *shape))
    inputs, wanted = x[:1] if name in OVER_ROWS else x, np.empty((x[0].size // shape[-1], shape[-1]))
    KERNELS[name](*(array.reshape(wanted.shape) for array in inputs), wanted, *(() if name in OVER_ROWS else (0,)))
    np.testing.assert_allclose(getattr(fastnn_kernels, name)(*inputs), wanted.reshape(shape), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", [name + suffix for name in OVER_ROWS for suffix in ("", "_backward")])
@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_rows_without_elements_are_refused(name: str, shape: tuple[int, ...]) -> None:
    x = np.ones(shape)
    with pytest.raises(ValueError, match=r"[xy] must have at least one element along its last axis, got shape"):
        getattr(fastnn_kernels, name)(*([x] if name in OVER_ROWS else [x, x]))


def test_relu_has_kerass_parameters() -> None:
    x = np.array([-np.inf, -2.0, 0.5, 0.75, 3.0, np.nan])
    settings = {"negative_slope": 0.5, "max_value": 2.0, "threshold": 0.5}
    np.testing.assert_array_equal(relu(x, **settings), [-np.inf, -1.25, 0.0, 0.75, 2.0, np.nan])
    np.testing.assert_array_equal(relu_backward(x, np.full(6, 10.0), **settings), [5.0, 5.0, 5.0, 10.0, 0.0, 5.0])


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("negative_slope", None, TypeError),
        ("negative_slope", np.nan, ValueError),
        ("max_value", "6", TypeError),
        ("max_value", np.nan, ValueError),
        ("threshold", np.array([1.0, 2.0]), TypeError),
        ("threshold", np.inf, ValueError),
    ],
)
def test_relus_parameters_are_numbers(name: str, value: Any, error: type[Exception]) -> None:
    out = np.full(2, 7.0)
    for call in (partial(relu, [1.0, -1.0]), partial(relu_backward, [1.0, -1.0], [1.0, 1.0])):
        with pytest.raises(error, match=f"{name} must be a (finite )?number, got"):
            call(out=out, **{name: value})
    assert (out == 7.0).all()


def test_relu_backward_takes_relus_result_as_well() -> None:
    x, dout = np.random.default_rng(0).normal(size=(2, 100))
    np.testing.assert_array_equal(relu_backward(relu(x), dout), relu_backward(x, dout))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_log_softmax_of_large_values_keeps_its_digits(dtype: str) -> None:
    """Shifting by the maximum and the logarithm in one step would leave an error of eps * 10,000."""
    eps = np.finfo(dtype).eps
    far = (np.random.default_rng(0).normal(size=(64, 20)) + 10_000.0).astype(dtype)
    near = far - np.array(10_000.0, dtype)  # exact
    np.testing.assert_allclose(log_softmax(far), log_softmax(near), rtol=4 * eps, atol=4 * eps)


def test_log_softmax_is_the_logarithm_of_softmax() -> None:
    x = np.random.default_rng(0).normal(size=(30, 9))
    np.testing.assert_allclose(log_softmax(x), np.log(softmax(x)), rtol=1e-13)
