"""The workloads by fastnn, through its public names alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.bench.specs import ACTIVATION, ADAM, RMSPROP, Data, InferSpec, TrainSpec
from fastnn.bench.timing import Task

LOSSES = {"softmax_cross_entropy": "sparse_categorical_crossentropy", "mean_squared_error": "mean_squared_error"}


def build(spec: TrainSpec) -> Any:
    """The model of ``spec``."""
    from fastnn import Input, Sequential
    from fastnn.layers import Dense

    last = "softmax" if spec.loss == "softmax_cross_entropy" else "linear"
    activations = [*[ACTIVATION] * (len(spec.widths) - 1), last]
    return Sequential(
        [
            Input((spec.inputs,)),
            *(Dense(width, activation=activation) for width, activation in zip(spec.widths, activations, strict=True)),
        ]
    )


def optimizer(spec: TrainSpec) -> Any:
    """A fresh optimizer."""
    from fastnn import optimizers

    settings: dict[str, float] = {"adam": ADAM, "rmsprop": RMSPROP, "sgd": {}}[spec.optimizer]
    classes = {"adam": optimizers.Adam, "rmsprop": optimizers.RMSprop, "sgd": optimizers.SGD}
    return classes[spec.optimizer](spec.learning_rate, **settings)


def train(spec: TrainSpec, data: Data, threads: int) -> Task:
    """``fit`` without output; its own shuffle draws ``data["orders"]``."""
    from fastnn import config
    from fastnn.random import set_seed

    config.set_num_threads(threads)
    model = build(spec)

    def reset() -> None:
        model.compile(optimizer(spec), LOSSES[spec.loss])
        model.set_weights(data["weights"])
        set_seed(data["seed"])

    def run() -> float:
        return model.fit(data["x"], data["y"], batch_size=spec.batch, epochs=spec.epochs, verbose=0).history["loss"][-1]

    return Task(run, reset)


def infer(spec: InferSpec, data: Data, threads: int) -> Task:
    """``predict``, ``model(x)``, or ``predictor``."""
    from fastnn import config

    config.set_num_threads(threads)
    model, x = build(spec.model), data["x"]
    model.set_weights(data["weights"])
    predict = model.predictor(len(x))
    routes: dict[str, Callable[[], Any]] = {
        "predict": lambda: model.predict(x, verbose=0),
        "call": lambda: model(x),
        "prepared": lambda: predict(x),
    }
    return Task(routes[spec.route])
