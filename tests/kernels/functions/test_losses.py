"""Losses and gradients against the reference; labels and targets of every shape; what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastnn_kernels import mean_squared_error, sigmoid_cross_entropy, softmax_cross_entropy
from fastnn_kernels.instructions import NO_CLASS
from fastnn_kernels.reference.kernels import KERNELS
from numpy.typing import NDArray

SHAPES = [(4,), (0, 4), (9, 4), (2, 3, 1), (2, 3, 40)]


def reference(op: str, x: NDArray, truth: NDArray, weight: NDArray, scale: float, *attributes: float) -> tuple[NDArray, NDArray]:
    """Loss and gradient in the shapes of the functions."""
    classes, shape = x.shape[-1], x.shape[:-1]
    rows = x.reshape(-1, classes)
    loss, gradient = np.empty(len(rows)), np.empty_like(rows)
    truth = truth.reshape(-1).astype(np.int32) if op == "softmax_cross_entropy" else truth.reshape(-1, classes)
    KERNELS[op](rows, truth, weight.ravel(), np.array([scale]), loss, gradient, *attributes, 0)
    return loss.reshape(shape), gradient.reshape(x.shape)


def check(loss: NDArray, gradient: NDArray, wanted: tuple[NDArray, NDArray]) -> None:
    np.testing.assert_allclose(loss, wanted[0], rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(gradient, wanted[1], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("integer", ["int8", "uint16", "int64"])
def test_labels(shape: tuple[int, ...], integer: str) -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=shape), rng.integers(0, shape[-1], shape[:-1]).astype(integer)
    weight, gradient = rng.uniform(size=shape[:-1]), np.empty(shape)
    loss = softmax_cross_entropy(x, labels, weight=weight, scale=0.25, dlogits=gradient)
    check(loss, gradient, reference("softmax_cross_entropy", x, labels, np.asarray(weight), 0.25, NO_CLASS))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("loss_function", [softmax_cross_entropy, sigmoid_cross_entropy])
def test_targets(shape: tuple[int, ...], loss_function: Any) -> None:
    rng = np.random.default_rng(0)
    x, target, weight, gradient = rng.normal(size=shape), rng.uniform(size=shape), rng.uniform(size=shape[:-1]), np.empty(shape)
    loss = loss_function(x, target, weight=weight, scale=3.0, label_smoothing=0.1, dlogits=gradient)
    op = loss_function.__name__.replace("softmax_cross_entropy", "softmax_cross_entropy_dense")
    check(loss, gradient, reference(op, x, target, np.asarray(weight), 3.0, 0.1))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_squares(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x, target, weight, gradient = rng.normal(size=shape), rng.normal(size=shape), rng.uniform(size=shape[:-1]), np.empty(shape)
    loss = mean_squared_error(x, target, weight=weight, scale=0.5, dpred=gradient)
    check(loss, gradient, reference("mean_squared_error", x, target, np.asarray(weight), 0.5))


@pytest.mark.parametrize(("integer", "ignored"), [("int64", 2**32), ("int64", -(2**31)), ("uint32", 2**32 - 1), ("int8", 1)])
def test_ignored_class_of_any_size(integer: str, ignored: int) -> None:
    gradient = np.empty((3, 2))
    loss = softmax_cross_entropy(np.zeros((3, 2)), np.array([0, ignored, 0], integer), ignore_class=ignored, dlogits=gradient)
    np.testing.assert_allclose(loss, [np.log(2), 0.0, np.log(2)], rtol=1e-14)
    np.testing.assert_array_equal(gradient[1], 0.0)
    assert softmax_cross_entropy(np.zeros((1, 2)), np.zeros(1, integer), ignore_class=2**70) == loss[0]


def test_no_rows_have_no_labels() -> None:
    assert softmax_cross_entropy(np.zeros((0, 3), np.float32), []).shape == (0,)


def test_ignored_class() -> None:
    x, gradient = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 3.0]]), np.empty((3, 2))
    loss = softmax_cross_entropy(x, [0, 255, 1], ignore_class=255, dlogits=gradient)
    np.testing.assert_allclose(loss, [np.log(1 + np.e), 0.0, np.log(2)], rtol=1e-14)
    np.testing.assert_array_equal(gradient[1], 0.0)


@pytest.mark.parametrize("classes", [4, 400])
@pytest.mark.parametrize("workers", [None, 1, 3])
def test_gradient_may_take_the_place_of_the_logits(classes: int, workers: int | None) -> None:
    rng = np.random.default_rng(0)
    x, labels, gradient = rng.normal(size=(50, classes)), rng.integers(0, classes, 50), np.empty((50, classes))
    wanted = softmax_cross_entropy(x, labels, dlogits=gradient)
    loss = softmax_cross_entropy(x, labels, dlogits=x, workers=workers)
    np.testing.assert_array_equal(loss, wanted)
    np.testing.assert_array_equal(x, gradient)


def test_gradient_in_other_layouts() -> None:
    rng = np.random.default_rng(0)
    x, target, gradient = rng.normal(size=(20, 6)), rng.uniform(size=(20, 6)), np.empty((20, 6))
    columns = np.empty((6, 20)).T
    mean_squared_error(x, target, dpred=gradient)
    mean_squared_error(x, target, dpred=columns)
    np.testing.assert_array_equal(gradient, columns)


X, LABELS, TARGET = np.zeros((3, 2)), np.array([0, 1, 1]), np.zeros((3, 2))


@pytest.mark.parametrize(
    ("target", "keywords", "error", "message"),
    [
        ([1, 2, 3], {}, ValueError, r"target must hold labels from 0 to 1, got 2 at \(1,\)"),
        ([0, 2**40, 1], {}, ValueError, r"target must hold labels from 0 to 1, got 1099511627776 at \(1,\)"),
        ([0, -1, 1], {}, ValueError, r"got -1 at \(1,\)"),
        ([0, -1, 2], {"ignore_class": -1}, ValueError, r"got 2 at \(2,\)"),
        ([0, 1], {}, ValueError, r"target must have shape \(3,\), one label for each row of logits, got \(2,\)"),
        ([[0], [1], [1]], {}, ValueError, r"target must have shape \(3,\)"),
        ([[0, 1], [0, 1], [1, 0]], {}, TypeError, r"a target of logits' shape must be float64, got int64; target\.astype"),
        (LABELS.astype(float), {}, TypeError, "target has the shape of labels, which must be integers, got float64"),
        (np.zeros((3, 4)), {}, ValueError, r"target must have shape \(3, 2\), that of logits, got \(3, 4\)"),
        (LABELS, {"ignore_class": 1.0}, TypeError, "ignore_class must be None or an integer, got 1.0"),
        (LABELS, {"ignore_class": np.nan}, TypeError, "ignore_class must be None or an integer, got nan"),
        (LABELS, {"ignore_class": "a"}, TypeError, "ignore_class must be None or an integer, got 'a'"),
        (LABELS, {"scale": None}, TypeError, "scale must be a number, got None"),
        (LABELS, {"scale": "2"}, TypeError, "scale must be a number, got '2'"),
        (LABELS, {"scale": np.array([1.0, 2.0])}, TypeError, r"scale must be a number, got array\(\[1., 2.\]\)"),
        (LABELS, {"scale": np.inf}, ValueError, "scale must be a finite number, got inf"),
        (TARGET, {"label_smoothing": None}, TypeError, "label_smoothing must be a number, got None"),
        (TARGET, {"label_smoothing": np.nan}, ValueError, "label_smoothing must be a finite number, got nan"),
        (TARGET.astype(np.float32), {}, TypeError, "target is float32, but logits is float64"),
        (TARGET.astype(bool), {}, TypeError, "target must be float32 or float64, got bool"),
        (LABELS, {"label_smoothing": 0.1}, ValueError, "label_smoothing needs a target of logits' shape"),
        (TARGET, {"label_smoothing": 1.5}, ValueError, "label_smoothing must lie between 0 and 1, got 1.5"),
        (TARGET, {"ignore_class": 1}, ValueError, "ignore_class needs integer labels, got a target of dtype float64"),
        (LABELS, {"weight": [1.0, 2.0]}, ValueError, r"weight must have shape \(3,\), one for each row, got \(2,\)"),
        (LABELS, {"weight": [1, 2, 3]}, TypeError, "weight must be float32 or float64, got int64"),
        (LABELS, {"dlogits": np.empty((3, 3))}, ValueError, r"dlogits must have shape \(3, 2\)"),
        (LABELS, {"dlogits": [[0.0, 0.0]] * 3}, TypeError, "dlogits is written in place and must be a NumPy array"),
    ],
)
def test_softmax_cross_entropy_refuses(target: Any, keywords: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        softmax_cross_entropy(X, target, **keywords)


def test_loss_and_gradient_in_one_place_are_refused() -> None:
    memory = np.empty(6)
    with pytest.raises(ValueError, match="out and dpred share memory; each must have its own"):
        mean_squared_error(X, TARGET, out=memory[:3], dpred=memory.reshape(3, 2))


@pytest.mark.parametrize("loss_function", [softmax_cross_entropy, sigmoid_cross_entropy, mean_squared_error])
@pytest.mark.parametrize("shape", [(), (3, 0)])
def test_rows_without_elements_are_refused(loss_function: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must have at least one element along its last axis"):
        loss_function(np.zeros(shape), np.zeros(shape))
