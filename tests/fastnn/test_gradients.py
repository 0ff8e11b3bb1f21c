"""Gradients of whole models: central differences in float64 on the reference; the cpu target agrees with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fastnn
from fastnn import activations, layers, losses

ROWS, FEATURES, CLASSES = 6, 4, 3


@pytest.fixture(autouse=True)
def _float64() -> Iterator[None]:
    before = fastnn.config.floatx()
    fastnn.config.set_floatx("float64")
    yield
    fastnn.config.set_floatx(before)


def capped_relu(x: Any) -> Any:
    """relu with every parameter set."""
    return activations.relu(x, negative_slope=0.1, max_value=0.8, threshold=0.1)


ACTIVATIONS: dict[str, Any] = {
    **{name: name for name in ("linear", "relu", "leaky_relu", "sigmoid", "tanh", "softmax")},
    "capped_relu": capped_relu,
}
VALUES = ("linear", "leaky_relu", "sigmoid", "tanh", "softmax", "capped_relu")
PROBABILITIES = ("sigmoid", "softmax")
LOSSES: dict[str, tuple[Callable[[], Any], str, tuple[str, ...]]] = {
    # loss, target, activations of the output that it takes
    "mse": (lambda: losses.MeanSquaredError(), "values", VALUES),
    "mae": (lambda: losses.MeanAbsoluteError(), "values", VALUES),
    "mse sum": (lambda: losses.MeanSquaredError(reduction="sum"), "values", ("linear",)),
    "bce": (lambda: losses.BinaryCrossentropy(), "bits", PROBABILITIES),
    "bce smooth": (lambda: losses.BinaryCrossentropy(label_smoothing=0.2), "bits", PROBABILITIES),
    "bce logits": (lambda: losses.BinaryCrossentropy(from_logits=True), "bits", ("linear", "tanh")),
    "cce": (lambda: losses.CategoricalCrossentropy(), "one_hot", PROBABILITIES),
    "cce smooth": (lambda: losses.CategoricalCrossentropy(label_smoothing=0.2), "one_hot", PROBABILITIES),
    "cce logits": (lambda: losses.CategoricalCrossentropy(from_logits=True), "one_hot", ("linear", "tanh")),
    "sparse": (lambda: losses.SparseCategoricalCrossentropy(), "labels", PROBABILITIES),
    "sparse ignore": (lambda: losses.SparseCategoricalCrossentropy(ignore_class=1), "labels", PROBABILITIES),
    "sparse logits": (lambda: losses.SparseCategoricalCrossentropy(from_logits=True), "labels", ("linear", "tanh")),
    "sparse weighted mean": (
        lambda: losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=1, reduction="mean_with_sample_weight"),
        "labels",
        ("linear",),
    ),
}


def data(target: str, shape: tuple[int, ...] = (FEATURES,)) -> tuple[NDArray, NDArray]:
    """Inputs, and truth of the kind the loss takes."""
    rng = np.random.default_rng(3)
    labels = np.array([0, 2, 1, 1, 0, 2])
    truth = {
        "values": rng.normal(size=(ROWS, CLASSES)),
        "bits": rng.integers(0, 2, (ROWS, CLASSES)).astype(float),
        "one_hot": np.eye(CLASSES)[labels],
        "labels": labels,
    }
    return rng.normal(size=(ROWS, *shape)), truth[target]


def randomize(model: Any) -> None:
    """Weights from a fixed seed, biases included."""
    rng = np.random.default_rng(4)
    model.set_weights([rng.normal(size=weight.shape) * 0.7 for weight in model.get_weights()])


def check(model: Any, loss: Any, x: Any, y: NDArray, sample_weight: NDArray | None = None) -> None:
    """Each weight's gradient along two random directions against central differences; then cpu against reference."""
    model.compile("sgd", loss, device="reference")

    def value() -> float:
        return float(model.gradients(x, y, sample_weight=sample_weight)[0])

    gradients = [np.asarray(gradient) for gradient in model.gradients(x, y, sample_weight=sample_weight)[1]]
    weights = [np.array(weight) for weight in model.get_weights()]
    rng = np.random.default_rng(5)
    for place, gradient in enumerate(gradients):
        for _ in range(2):
            direction = rng.normal(size=gradient.shape)
            slope = slope_along(
                model, weights, place, direction, lambda: float(model.gradients(x, y, sample_weight=sample_weight)[0])
            )
            assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-6, abs=1e-9)
    model.set_weights(weights)
    model.compile("sgd", loss, device="cpu")
    for actual, wanted in zip(model.gradients(x, y, sample_weight=sample_weight)[1], gradients, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-11, atol=1e-13)


def slope_along(model: Any, weights: list[NDArray], place: int, direction: NDArray, loss: Callable[[], float]) -> float:
    """(loss(w + h * direction) - loss(w - h * direction)) / 2h for one of the weights."""
    found, h = [], 1e-6
    for sign in (1.0, -1.0):
        moved = list(weights)
        moved[place] = weights[place] + sign * h * direction
        model.set_weights(moved)
        found.append(loss())
    return (found[0] - found[1]) / (2 * h)


def dense(units: int, activation: str = "linear", **arguments: Any) -> Any:
    """A Dense layer with one of `ACTIVATIONS`."""
    return layers.Dense(units, activation=ACTIVATIONS[activation], **arguments)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("name", "output"), [(name, output) for name, entry in LOSSES.items() for output in entry[2]])
def test_every_loss_under_every_output(name: str, output: str, weighted: bool) -> None:
    loss, target, _ = LOSSES[name]
    x, y = data(target)
    model = fastnn.Sequential([fastnn.Input((FEATURES,)), dense(5, "tanh"), dense(CLASSES, output)])
    randomize(model)
    check(model, loss(), x, y, np.linspace(0.0, 2.0, ROWS) if weighted else None)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["mse", "sparse"])
def test_every_activation_inside(name: str, activation: str) -> None:
    loss, target, _ = LOSSES[name]
    x, y = data(target)
    output = "softmax" if name == "sparse" else "linear"
    model = fastnn.Sequential([fastnn.Input((FEATURES,)), dense(5, activation), dense(4, activation), dense(CLASSES, output)])
    randomize(model)
    check(model, loss(), x, y)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activation_as_a_layer(activation: str) -> None:
    x, y = data("values")
    model = fastnn.Sequential(
        [fastnn.Input((FEATURES,)), dense(5, use_bias=False), layers.Activation(ACTIVATIONS[activation]), dense(CLASSES)]
    )
    randomize(model)
    check(model, "mse", x, y)


def test_flatten_and_dense_on_the_last_axis() -> None:
    x, y = data("values", (2, FEATURES))
    model = fastnn.Sequential([fastnn.Input((2, FEATURES)), dense(3, "tanh"), layers.Flatten(), dense(CLASSES)])
    randomize(model)
    check(model, "mse", x, y)


def test_a_layer_used_twice_and_an_output_used_twice() -> None:
    """Gradients that reach a weight or a tensor more than once add up."""
    x, y = data("values")
    inputs = fastnn.Input((FEATURES,))
    shared = dense(FEATURES, "tanh")
    once = shared(inputs)
    model = fastnn.Model(inputs, dense(CLASSES)(shared(once)))
    randomize(model)
    check(model, "mse", x, y)
    two = fastnn.Model(inputs, [dense(CLASSES, "sigmoid")(once), dense(CLASSES)(once)])
    randomize(two)
    check(two, ["bce", "mse"], x, [data("bits")[1], y])
