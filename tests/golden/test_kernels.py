"""The reference's kernels against Keras 3 in float64: losses with their gradients, metrics, and every optimizer's curve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastnn_kernels.instructions import INSTRUCTIONS, NO_CLASS
from fastnn_kernels.reference.kernels import KERNELS
from numpy.typing import NDArray

GOLDEN = {name: json.loads(Path(__file__).with_name(f"{name}.json").read_text()) for name in ("losses", "metrics", "curves")}
REDUCTIONS = {"sum": 0, "sum_over_batch_size": 1, "mean_with_sample_weight": 2}
OPS = {
    ("MeanSquaredError", False): "mean_squared_error",
    ("MeanAbsoluteError", False): "mean_absolute_error",
    ("SparseCategoricalCrossentropy", True): "softmax_cross_entropy",
    ("SparseCategoricalCrossentropy", False): "sparse_categorical_cross_entropy",
    ("CategoricalCrossentropy", True): "softmax_cross_entropy_dense",
    ("CategoricalCrossentropy", False): "categorical_cross_entropy",
    ("BinaryCrossentropy", True): "sigmoid_cross_entropy",
    ("BinaryCrossentropy", False): "binary_cross_entropy",
    ("BinaryAccuracy", False): "binary_accuracy",
    ("CategoricalAccuracy", False): "categorical_accuracy",
    ("SparseCategoricalAccuracy", False): "sparse_categorical_accuracy",
}
DEFAULTS = {"ignore_class": NO_CLASS, "label_smoothing": 0.0, "threshold": 0.5, "accumulate": 0}


def title(case: dict[str, Any]) -> str:
    """A test's name."""
    arguments = [f"{name}={value}" for name, value in case["arguments"].items()]
    return "-".join(
        [case.get("loss") or case["metric"], case["prediction"], *arguments, "weighted" if case["sample_weight"] else "unweighted"]
    )


def arrays(case: dict[str, Any], data: dict[str, Any]) -> tuple[NDArray, NDArray, NDArray | None]:
    """Prediction, target and weights of a case."""
    target = np.array(data[case["target"]], np.int32 if case["target"] == "labels" else np.float64)
    weight = None if case["sample_weight"] is None else np.array(case["sample_weight"])
    return np.array(data[case["prediction"]]), target, weight


def attributes_of(op: str, arguments: dict[str, Any]) -> list[float]:
    """The attributes of ``op``, from Keras's arguments."""
    return [{**DEFAULTS, **arguments}[name] for name, _ in INSTRUCTIONS[op].attributes]


@pytest.mark.parametrize("case", GOLDEN["losses"]["cases"], ids=title)
def test_loss_and_gradient(case: dict[str, Any]) -> None:
    prediction, target, weight = arrays(case, GOLDEN["losses"]["data"])
    arguments, rows = case["arguments"], len(prediction)
    scale, loss, gradient, total = np.empty(1), np.empty(rows), np.empty_like(prediction), np.zeros(2)
    ignored = arguments.get("ignore_class", NO_CLASS)
    labels = None if ignored == NO_CLASS else target
    reduction = REDUCTIONS[arguments.get("reduction", "sum_over_batch_size")]
    op = OPS[case["loss"], arguments.get("from_logits", False)]
    KERNELS["loss_scale"](weight, labels, scale, rows, reduction, 1.0, ignored)
    KERNELS[op](prediction, target, weight, scale, loss, gradient, *attributes_of(op, arguments))
    KERNELS["accumulate_loss"](loss, weight, scale, total, np.zeros(8, np.int64), rows)
    assert total[0] / total[1] == pytest.approx(case["value"], rel=1e-11)
    np.testing.assert_allclose(gradient, case["gradient"], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("case", GOLDEN["metrics"]["cases"], ids=title)
def test_metric(case: dict[str, Any]) -> None:
    prediction, target, weight = arrays(case, GOLDEN["metrics"]["data"])
    values, total, name = np.empty(len(prediction)), np.zeros(2), case["metric"]
    if (name, False) in OPS and "Accuracy" in name:
        op = OPS[name, False]
        KERNELS[op](prediction, target, values, *attributes_of(op, case["arguments"]))
    else:
        op = OPS[name.replace("Root", ""), False]
        KERNELS[op](prediction, target, None, None, values, None, *attributes_of(op, {}))
    KERNELS["accumulate_mean"](values, weight, total)
    mean = total[0] / total[1]
    assert (mean**0.5 if "Root" in name else mean) == pytest.approx(case["value"], rel=1e-11)


def slots_and_attributes(run: dict[str, Any], size: int) -> tuple[str, list[NDArray | None], list[float]]:
    """The update instruction of an optimizer, its state vectors and its attributes."""
    arguments = run["arguments"]
    momentum = arguments.get("momentum", 0.0)
    slots: list[float | None]
    if run["optimizer"] == "SGD":
        op, slots, attributes = "sgd", [0.0 if momentum else None], [momentum, arguments.get("nesterov", False)]
    elif run["optimizer"] == "Adagrad":
        op, slots, attributes = "adagrad", [0.1], [1e-7]
    elif run["optimizer"] == "RMSprop":
        slots = [0.0, 0.0 if momentum else None, 0.0 if arguments.get("centered") else None]
        op, attributes = "rmsprop", [0.9, momentum, 1e-7]
    else:
        slots = [0.0, 0.0, 0.0 if arguments.get("amsgrad") else None]
        op, attributes = "adam", [0.9, arguments.get("beta_2", 0.999), 1e-7]
    return op, [None if start is None else np.full(size, start) for start in slots], attributes


@pytest.mark.parametrize("run", GOLDEN["curves"]["runs"], ids=lambda run: run["name"])
def test_curve(run: dict[str, Any]) -> None:
    """A 4-5-3 network trained by hand: tanh, softmax, sparse cross-entropy."""
    golden = GOLDEN["curves"]
    x, y = np.array(golden["x"]), np.array(golden["y"], np.int32)
    params = np.concatenate([np.ravel(weight) for weight in golden["weights"]])
    grads, control, rates = np.empty_like(params), np.zeros(8, np.int64), np.zeros(4)
    op, slots, attributes = slots_and_attributes(run, len(params))
    learning_rate = np.array([run["arguments"]["learning_rate"]])
    beta_2 = attributes[1] if op == "adam" else 0.0
    curve = []
    for _ in range(golden["epochs"]):
        total = np.zeros(2)
        for start in range(0, len(x), golden["batch_size"]):
            rows = slice(start, start + golden["batch_size"])
            step(x[rows], y[rows], split(params), split(grads), total)
            KERNELS["next_update"](learning_rate, control, rates, 0.9, beta_2)
            KERNELS[op](grads, rates, params, *slots, *attributes)
        curve.append(total[0] / total[1])
    np.testing.assert_allclose(curve, run["loss"], rtol=1e-9)
    for weight, wanted in zip(split(params), run["final_weights"], strict=True):
        np.testing.assert_allclose(weight, wanted, rtol=1e-9, atol=1e-10)


def split(flat: NDArray) -> list[NDArray]:
    """Views of the four weights in one vector."""
    return [flat[:20].reshape(4, 5), flat[20:25], flat[25:40].reshape(5, 3), flat[40:]]


def step(x: NDArray, y: NDArray, weights: list[NDArray], grads: list[NDArray], total: NDArray) -> None:
    """Forward, loss and backward of one batch."""
    rows = len(x)
    hidden, logits, loss, scale = np.empty((rows, 5)), np.empty((rows, 3)), np.empty(rows), np.empty(1)
    dhidden, dlogits = np.empty_like(hidden), np.empty_like(logits)
    KERNELS["matmul"](x, weights[0], weights[1], None, hidden, 0, 0, 3, 0.0, 0, 0)
    KERNELS["matmul"](hidden, weights[2], weights[3], None, logits, 0, 0, 0, 0.0, 0, 0)
    KERNELS["loss_scale"](None, None, scale, rows, 1, 1.0, NO_CLASS)
    KERNELS["softmax_cross_entropy"](logits, y, None, scale, loss, dlogits, NO_CLASS, 0)
    KERNELS["accumulate_loss"](loss, None, scale, total, np.zeros(8, np.int64), rows)
    KERNELS["matmul"](hidden, dlogits, None, None, grads[2], 1, 0, 0, 0.0, 0, 0)
    KERNELS["sum_rows"](dlogits, grads[3], 0)
    KERNELS["matmul"](dlogits, weights[2], None, None, dhidden, 0, 1, 0, 0.0, 0, 0)
    KERNELS["tanh_backward"](hidden.ravel(), dhidden.ravel(), dhidden.ravel(), 0)
    KERNELS["matmul"](x, dhidden, None, None, grads[0], 1, 0, 0, 0.0, 0, 0)
    KERNELS["sum_rows"](dhidden, grads[1], 0)
