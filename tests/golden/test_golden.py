"""fastnn against Keras 3 in float64: losses with their gradients, metrics, and every optimizer's curve, through the public API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import fastnn

GOLDEN = {name: json.loads(Path(__file__).with_name(f"{name}.json").read_text()) for name in ("losses", "metrics", "curves")}
TARGETS = [("reference", "float64", 1e-9), ("cpu", "float64", 1e-9), ("cpu", "float32", 1e-4)]


@pytest.fixture(params=TARGETS, ids=lambda target: f"{target[0]}-{target[1]}")
def target(request: pytest.FixtureRequest) -> Iterator[tuple[str, float]]:
    """A device and the tolerance of its dtype, which is floatx during the test."""
    device, dtype, tolerance = request.param
    before = fastnn.config.floatx()
    fastnn.config.set_floatx(dtype)
    yield device, tolerance
    fastnn.config.set_floatx(before)


def title(case: dict[str, Any]) -> str:
    """A test's name."""
    arguments = [f"{name}={value}" for name, value in case["arguments"].items()]
    return "-".join(
        [case.get("loss") or case["metric"], case["prediction"], *arguments, "weighted" if case["sample_weight"] else "unweighted"]
    )


def arrays(case: dict[str, Any], data: dict[str, Any]) -> tuple[NDArray, NDArray, NDArray | None]:
    """Prediction, target and weights of a case."""
    weight = None if case["sample_weight"] is None else np.array(case["sample_weight"])
    return np.array(data[case["prediction"]]), np.array(data[case["target"]]), weight


def model_of(prediction: NDArray) -> Any:
    """A model whose kernel is its prediction: ``eye(rows) @ kernel``."""
    rows, classes = prediction.shape
    model = fastnn.Sequential([fastnn.Input((rows,)), fastnn.layers.Dense(classes, use_bias=False)])
    model.set_weights([prediction])
    return model


@pytest.mark.parametrize("case", GOLDEN["losses"]["cases"], ids=title)
def test_loss_and_gradient(case: dict[str, Any], target: tuple[str, float]) -> None:
    device, tolerance = target
    prediction, y, weight = arrays(case, GOLDEN["losses"]["data"])
    model = model_of(prediction)
    model.compile("sgd", getattr(fastnn.losses, case["loss"])(**case["arguments"]), device=device)
    loss, (gradient,) = model.gradients(np.eye(len(y)), y, sample_weight=weight)
    assert float(loss) == pytest.approx(case["value"], rel=tolerance)
    np.testing.assert_allclose(gradient, case["gradient"], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", GOLDEN["losses"]["cases"], ids=title)
def test_loss_called_on_arrays(case: dict[str, Any]) -> None:
    prediction, y, weight = arrays(case, GOLDEN["losses"]["data"])
    loss = getattr(fastnn.losses, case["loss"])(**case["arguments"])
    assert float(loss(y, prediction, sample_weight=weight)) == pytest.approx(case["value"], rel=1e-6)


@pytest.mark.parametrize("case", GOLDEN["metrics"]["cases"], ids=title)
def test_metric(case: dict[str, Any], target: tuple[str, float]) -> None:
    device, tolerance = target
    prediction, y, weight = arrays(case, GOLDEN["metrics"]["data"])
    model = model_of(prediction)
    loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True) if case["target"] == "labels" else "mse"
    metric = getattr(fastnn.metrics, case["metric"])(name="metric", **case["arguments"])
    model.compile("sgd", loss, **{"metrics" if weight is None else "weighted_metrics": [metric]}, device=device)
    found = model.evaluate(np.eye(len(y)), y, sample_weight=weight, batch_size=3, verbose=0, return_dict=True)
    assert found["metric"] == pytest.approx(case["value"], rel=tolerance)


@pytest.mark.parametrize("run", GOLDEN["curves"]["runs"], ids=lambda run: run["name"])
def test_curve(run: dict[str, Any], target: tuple[str, float]) -> None:
    device, tolerance = target
    golden, dense = GOLDEN["curves"], fastnn.layers.Dense
    model = fastnn.Sequential([fastnn.Input((4,)), dense(5, activation="tanh"), dense(3, activation="softmax")])
    model.set_weights([np.array(weight) for weight in golden["weights"]])
    optimizer = getattr(fastnn.optimizers, run["optimizer"])(**run["arguments"])
    model.compile(optimizer, "sparse_categorical_crossentropy", device=device)
    x, y = np.array(golden["x"]), np.array(golden["y"])
    history = model.fit(x, y, batch_size=golden["batch_size"], epochs=golden["epochs"], shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], run["loss"], rtol=tolerance)
    for weight, wanted in zip(model.get_weights(), run["final_weights"], strict=True):
        np.testing.assert_allclose(weight, wanted, rtol=tolerance, atol=tolerance)
