"""Small trainings on device "cuda" with its own kernels, in the simulator or on a GPU, against the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastnn_kernels.cuda import SIMULATED
from fastnn_kernels.cuda import device as gpu
from fastnn_kernels.instructions import INSTRUCTIONS

from fastnn import Input, Sequential, config
from fastnn.layers import Activation, Dense, Flatten, LeakyReLU, ReLU
from fastnn.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from fastnn.optimizers import SGD, Adam, RMSprop
from fastnn.utils import set_random_seed

SAMPLES, FEATURES, CLASSES = 8, 4, 3
RNG = np.random.default_rng(7)
X = RNG.normal(size=(SAMPLES, 2, FEATURES // 2)).astype(np.float32)
LABELS = RNG.integers(0, CLASSES, SAMPLES)
ONE_HOT, BITS = np.eye(CLASSES)[LABELS], RNG.integers(0, 2, (SAMPLES, CLASSES)).astype(float)
VALUES, WEIGHTS = RNG.normal(size=(SAMPLES, CLASSES)), np.array([1.0, 0, 2, 1, 1, 0.5, 1, 1])

TRAININGS: dict[str, tuple[Callable[[], list[Any]], Any, Any, str, np.ndarray]] = {
    "relu, softmax, adam": (
        lambda: [Dense(5, activation="relu"), Dense(CLASSES, activation="softmax")],
        *("sparse_categorical_crossentropy", "adam", "accuracy", LABELS),
    ),
    "tanh, mean squared error, sgd": (lambda: [Dense(5, activation="tanh"), Dense(CLASSES)], "mse", "sgd", "mae", VALUES),
    "sigmoid, binary cross-entropy, momentum": (
        lambda: [Dense(5, activation="sigmoid"), Dense(CLASSES, activation="sigmoid")],
        *("binary_crossentropy", SGD(0.1, momentum=0.9), "binary_accuracy", BITS),
    ),
    "capped relu, label smoothing, rmsprop": (
        lambda: [Dense(5), ReLU(1.0, 0.25, 0.125), Dense(CLASSES, activation="softmax")],
        *(CategoricalCrossentropy(label_smoothing=0.1), "rmsprop", "accuracy", ONE_HOT),
    ),
    "leaky relu, tanh, mean absolute error, adagrad": (
        lambda: [Dense(5), LeakyReLU(0.25), Activation("tanh"), Dense(CLASSES)],
        *("mae", "adagrad", "mse", VALUES),
    ),
    "softmax inside, nesterov": (
        lambda: [Dense(5, activation="softmax"), Dense(CLASSES)],
        *("mse", SGD(0.1, momentum=0.9, nesterov=True), "mae", VALUES),
    ),
    "an ignored class, amsgrad": (
        lambda: [Dense(CLASSES)],
        *(SparseCategoricalCrossentropy(from_logits=True, ignore_class=1), Adam(amsgrad=True), "accuracy", LABELS),
    ),
    "logits, label smoothing, centered rmsprop": (
        lambda: [Dense(CLASSES)],
        *(
            BinaryCrossentropy(from_logits=True, label_smoothing=0.2),
            RMSprop(0.01, momentum=0.9, centered=True),
            "binary_accuracy",
            BITS,
        ),
    ),
    "probabilities of one's own, class numbers": (
        lambda: [Dense(CLASSES, activation="sigmoid"), Activation("relu")],
        *("sparse_categorical_crossentropy", "sgd", "accuracy", LABELS),
    ),
    "probabilities of one's own, one-hot": (
        lambda: [Dense(CLASSES, activation="sigmoid"), Activation("relu")],
        *("categorical_crossentropy", "sgd", "accuracy", ONE_HOT),
    ),
    "probabilities of one's own, bits": (
        lambda: [Dense(CLASSES), LeakyReLU(0.5), Activation("sigmoid"), Activation("relu")],
        *("binary_crossentropy", "sgd", "binary_accuracy", BITS),
    ),
}


def train(name: str, device: str, dtype: str) -> tuple[dict[str, Any], set[str]]:
    """What came out of a training, and the instructions it took."""
    layers, loss, optimizer, metric, y = TRAININGS[name]
    set_random_seed(3)
    model = Sequential([Input((2, FEATURES // 2), dtype=dtype), Flatten(), *layers()])
    for layer in model.layers:
        assert layer.dtype == dtype
    if not isinstance(optimizer, str):
        optimizer = type(optimizer).from_config(optimizer.get_config())
    model.compile(optimizer, loss, metrics=[metric], weighted_metrics=[metric], device=device)
    history = model.fit(X, y, batch_size=5, epochs=2, verbose=0, sample_weight=WEIGHTS).history
    found = {f"fit {key}": values for key, values in history.items()}
    found["outputs"] = model.predict(X, batch_size=6, verbose=0)
    found |= {f"weight {place}": weight for place, weight in enumerate(model.get_weights())}
    found |= {variable.path: variable.numpy() for variable in model.optimizer.variables}
    return found, {row.op for program in model._runtime.programs.values() for row in program.rows}


DOUBLE = list(TRAININGS)[:2] if SIMULATED else TRAININGS
"""The simulator is slow: float64 for two of them there."""


@pytest.mark.parametrize(("name", "dtype"), [*((name, "float32") for name in TRAININGS), *((name, "float64") for name in DOUBLE)])
def test_a_training_on_the_device_equals_the_reference(name, dtype, steps, monkeypatch):
    if reason := gpu.why_not():
        pytest.skip(reason)
    monkeypatch.setattr(config, "_settings", {**config._settings, "floatx": dtype, "threads": None, "device": None})
    wanted, _ = train(name, "reference", dtype)
    found, _ = train(name, "cuda", dtype)
    tolerance = 2e-5 if dtype == "float32" else 1e-12
    for (key, value), expected in zip(found.items(), wanted.values(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=tolerance, atol=tolerance, err_msg=key)


def test_the_trainings_take_every_instruction_that_a_layer_lowers_to():
    taken = set().union(*(train(name, "reference", "float32")[1] for name in TRAININGS))
    assert taken == INSTRUCTIONS.keys() - {"log_softmax", "log_softmax_backward"}
