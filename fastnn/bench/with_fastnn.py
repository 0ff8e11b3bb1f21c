"""The workloads by fastnn, through its public names alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.bench.kernel_data import ADAM, RMSPROP
from fastnn.bench.specs import ACTIVATION, Data, InferSpec, TrainSpec
from fastnn.bench.timing import Task

DEFAULT_BATCH = 32
"""Of Keras's ``predict``; more rows than that go through it as one batch."""

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


def train(spec: TrainSpec, data: Data, threads: int, uncounted: int = 0) -> Task:
    """``fit`` without output, its own shuffle draws ``data["orders"]``; the first one lowers the model, which ``reset`` keeps.

    ``uncounted`` epochs more are run, and the time of the first ones does not count: there a device gets the samples.
    """
    from fastnn import config
    from fastnn.random import set_seed

    config.set_num_threads(threads)
    times: list[float] = []
    watch = [_end_of_epochs(times)] if uncounted else []
    model, update = build(spec), optimizer(spec)
    model.compile(update, LOSSES[spec.loss])

    def reset() -> None:
        model.set_weights(data["weights"])
        update.iterations = 0
        for state in update.variables[2:]:  # after the number of updates and the learning rate; every state begins at 0
            state.assign(np.zeros(state.shape, np.float32))
        set_seed(data["seed"])

    def run() -> float:
        times[:] = [time.perf_counter()]
        settings: dict[str, Any] = {"batch_size": spec.batch, "epochs": spec.epochs + uncounted, "verbose": 0, "callbacks": watch}
        return model.fit(data["x"], data["y"], **settings).history["loss"][spec.epochs - 1]

    def counted() -> float:
        return (times[-1] - times[uncounted]) / (times[-1] - times[0])

    return Task(run, reset, counted=counted if uncounted else None)


def _end_of_epochs(times: list[float]) -> Any:
    """A callback that appends the time at which each epoch ends."""
    from fastnn.callbacks import LambdaCallback

    return LambdaCallback(on_epoch_end=lambda epoch, logs: times.append(time.perf_counter()))


def infer(spec: InferSpec, data: Data, threads: int) -> Task:
    """``predict``, ``model(x)``, or ``predictor``."""
    from fastnn import config

    config.set_num_threads(threads)
    model, x = build(spec.model), data["x"]
    model.set_weights(data["weights"])
    predict = model.predictor(len(x))
    routes: dict[str, Callable[[], Any]] = {
        "predict": lambda: model.predict(x, batch_size=max(DEFAULT_BATCH, len(x)), verbose=0),
        "call": lambda: model(x),
        "prepared": lambda: predict(x),
    }
    return Task(routes[spec.route])
