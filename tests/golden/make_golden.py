"""Writes ``losses.json``, ``metrics.json`` and ``curves.json``: what Keras 3 computes in float64.

Run with Keras 3 and JAX installed::

    python tests/golden/make_golden.py
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ |= {"KERAS_BACKEND": "jax", "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}

import jax
import jax.numpy as jnp
import keras
import numpy as np
from keras.src.backend.common import dtypes

HERE = Path(__file__).parent
keras.config.set_floatx("float64")
# On JAX, Keras 3 rounds every mean and every mixed sum to float32, whatever floatx is; its TensorFlow backend does not.
dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"

WEIGHTS = [1.0, 0.0, 2.5, 0.25, 1.5]
CROSS_ENTROPIES = {"SparseCategoricalCrossentropy": "labels", "CategoricalCrossentropy": "one_hot", "BinaryCrossentropy": "bits"}


def loss_cases() -> Iterator[tuple[str, str, str, dict[str, Any], bool]]:
    """Class, prediction, target, arguments, weighted."""
    for name in ("MeanSquaredError", "MeanAbsoluteError"):
        yield name, "values", "values_target", {}, False
        yield name, "values", "values_target", {}, True
        yield name, "values", "values_target", {"reduction": "mean_with_sample_weight"}, True
    for name, target in CROSS_ENTROPIES.items():
        yield name, "saturated", target, {}, True
    for (name, target), prediction in itertools.product(CROSS_ENTROPIES.items(), ("logits", "probabilities")):
        logits = {"from_logits": prediction == "logits"}
        other = {"ignore_class": 2} if target == "labels" else {"label_smoothing": 0.2}
        yield name, prediction, target, logits, False
        yield name, prediction, target, logits, True
        yield name, prediction, target, logits | other, False
        yield name, prediction, target, logits | other, True
        yield name, prediction, target, logits | other | {"reduction": "sum"}, True
        yield name, prediction, target, logits | other | {"reduction": "mean_with_sample_weight"}, True


METRICS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("MeanSquaredError", "values", "values_target", {}),
    ("MeanAbsoluteError", "values", "values_target", {}),
    ("RootMeanSquaredError", "values", "values_target", {}),
    ("BinaryAccuracy", "probabilities", "bits", {}),
    ("BinaryAccuracy", "probabilities", "bits", {"threshold": 0.3}),
    ("CategoricalAccuracy", "probabilities", "one_hot", {}),
    ("SparseCategoricalAccuracy", "probabilities", "labels", {}),
    ("BinaryCrossentropy", "probabilities", "bits", {}),
    ("CategoricalCrossentropy", "probabilities", "one_hot", {}),
    ("SparseCategoricalCrossentropy", "probabilities", "labels", {}),
]

OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "sgd momentum": ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    "sgd nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    "adagrad": ("Adagrad", {"learning_rate": 0.1}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.01}),
    "rmsprop momentum": ("RMSprop", {"learning_rate": 0.01, "momentum": 0.5}),
    "rmsprop centered": ("RMSprop", {"learning_rate": 0.01, "centered": True}),
    "rmsprop centered momentum": ("RMSprop", {"learning_rate": 0.01, "centered": True, "momentum": 0.5}),
    "adam": ("Adam", {"learning_rate": 0.02}),
    "adam amsgrad": ("Adam", {"learning_rate": 0.02, "amsgrad": True, "beta_2": 0.5}),
}


def short(values: Any) -> Any:
    """Nested lists of floats of 13 significant digits."""
    if np.ndim(values) == 0:
        return float(f"{float(values):.13g}")
    return [short(value) for value in np.asarray(values)]


def small_data() -> dict[str, np.ndarray]:
    """Five rows of three classes; the probabilities do not quite add up to 1, the saturated ones are clipped."""
    rng = np.random.default_rng(1)
    probabilities = rng.dirichlet(np.ones(3) * 2, 5)
    labels = np.array([2, 0, 1, 0, 2])
    return {
        "logits": (rng.normal(size=(5, 3)) * 2).round(3),
        "probabilities": probabilities.round(3),
        "saturated": np.array([[0.0, 0.0, 1.0], [0.0, 0.5, 1.0], [0.3, 0.4, 0.3], [1e-9, 1.0, 0.25], [0.25, 0.0, 0.0]]),
        "values": rng.normal(size=(5, 3)).round(3),
        "values_target": rng.normal(size=(5, 3)).round(3),
        "labels": labels,
        "one_hot": np.eye(3)[labels],
        "bits": rng.integers(0, 2, (5, 3)).astype(float),
    }


def losses(data: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """Value and gradient of every loss."""
    found = []
    for name, prediction, target, arguments, weighted in loss_cases():
        loss = getattr(keras.losses, name)(**arguments)
        weights = jnp.array(WEIGHTS) if weighted else None
        pred = data[prediction]

        def call(x: jax.Array, loss: Any = loss, target: str = target, weights: Any = weights) -> jax.Array:
            return loss(jnp.array(data[target]), x, sample_weight=weights)

        value, gradient = jax.value_and_grad(call)(jnp.array(pred))
        found.append(
            {
                "loss": name,
                "arguments": arguments,
                "target": target,
                "prediction": prediction,
                "sample_weight": WEIGHTS if weighted else None,
                "value": short(value),
                "gradient": short(gradient),
            }
        )
    return found


def metrics(data: dict[str, np.ndarray]) -> list[dict[str, Any]]:
    """The result of every entry of `METRICS` after two updates, the second of two rows only, with and without weights."""
    found = []
    for name, prediction, target, arguments in METRICS:
        for weighted in (False, True):
            metric = getattr(keras.metrics, name)(**arguments)
            pred = data[prediction]
            for rows in (slice(0, 3), slice(3, 5)):
                weights = np.array(WEIGHTS)[rows] if weighted else None
                metric.update_state(data[target][rows], pred[rows], sample_weight=weights)
            found.append(
                {
                    "metric": name,
                    "arguments": arguments,
                    "target": target,
                    "prediction": prediction,
                    "sample_weight": WEIGHTS if weighted else None,
                    "value": short(metric.result()),
                }
            )
    return found


def curves() -> dict[str, Any]:
    """Loss curves and final weights of a 4-5-3 classifier under every optimizer: 20 rows in batches of 8, 8 and 4."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(20, 4)).round(4)
    y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).astype(int) + (x[:, 3] > 0.5)
    weights = [rng.normal(size=shape).round(4) * 0.5 for shape in ((4, 5), (5,), (5, 3), (3,))]
    found = {"x": x.tolist(), "y": y.tolist(), "weights": [weight.tolist() for weight in weights], "batch_size": 8, "epochs": 15}
    found["runs"] = [curve(name, x, y, weights) for name in OPTIMIZERS]
    return found


def curve(name: str, x: np.ndarray, y: np.ndarray, weights: list[np.ndarray]) -> dict[str, Any]:
    """One optimizer's run."""
    optimizer, arguments = OPTIMIZERS[name]
    arguments = arguments | {"learning_rate": float(np.float32(arguments["learning_rate"]))}
    dense = keras.layers.Dense
    model = keras.Sequential([keras.Input((4,)), dense(5, activation="tanh"), dense(3, activation="softmax")])
    model.set_weights(weights)
    model.compile(getattr(keras.optimizers, optimizer)(**arguments), "sparse_categorical_crossentropy")
    history = model.fit(x, y, batch_size=8, epochs=15, shuffle=False, verbose=0)
    return {
        "name": name,
        "optimizer": optimizer,
        "arguments": arguments,
        "loss": short(history.history["loss"]),
        "final_weights": [short(weight) for weight in model.get_weights()],
    }


def write(name: str, content: Any) -> None:
    """One line per entry."""
    (HERE / name).write_text(json.dumps(content, separators=(",", ":")).replace("},{", "},\n{") + "\n")


if __name__ == "__main__":
    data = small_data()
    inputs = {name: values.tolist() for name, values in data.items()}
    write("losses.json", {"data": inputs, "cases": losses(data)})
    write("metrics.json", {"data": inputs, "cases": metrics(data)})
    write("curves.json", curves())
