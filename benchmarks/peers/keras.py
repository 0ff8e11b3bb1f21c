"""Keras 3 on JAX and on TensorFlow: ``compile`` and ``fit`` with defaults, and with ``steps_per_execution`` and ``jit_compile``.

Keras shuffles by its own generator; an order can only be given by one ``fit`` an epoch, which would time the set-up of ``fit``. So
one ``fit`` runs all epochs, in its own order, from the common weights.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Peer, absent
from fastnn.bench.kernel_data import ADAM, RMSPROP
from fastnn.bench.specs import Data, InferSpec, TrainSpec
from fastnn.bench.timing import Task
from fastnn.bench.with_fastnn import DEFAULT_BATCH

JAX_STEPS = 16
"""For JAX Keras unrolls ``steps_per_execution``: all steps of an epoch would compile for minutes. For TensorFlow it loops."""


def _keras(threads: int) -> Any:
    """Keras on the backend that the worker's environment names, with so many threads."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if os.environ.get("KERAS_BACKEND") == "tensorflow":
        import tensorflow as tf

        if tf.config.threading.get_intra_op_parallelism_threads() != threads:
            tf.config.threading.set_intra_op_parallelism_threads(threads)
            tf.config.threading.set_inter_op_parallelism_threads(threads)
    import keras

    return keras


def _model(keras: Any, spec: TrainSpec, weights: list[NDArray[np.float32]]) -> Any:
    last = "softmax" if spec.loss == "softmax_cross_entropy" else "linear"
    activations = ["relu"] * (len(spec.widths) - 1) + [last]
    layers = [keras.layers.Dense(width, activation) for width, activation in zip(spec.widths, activations, strict=True)]
    model = keras.Sequential([keras.Input((spec.inputs,)), *layers])
    model.set_weights(weights)
    return model


def _optimizer(keras: Any, spec: TrainSpec) -> Any:
    makers = {
        "adam": lambda: keras.optimizers.Adam(spec.learning_rate, **ADAM),
        "rmsprop": lambda: keras.optimizers.RMSprop(spec.learning_rate, **RMSPROP),
        "sgd": lambda: keras.optimizers.SGD(spec.learning_rate),
    }
    return makers[spec.optimizer]()


def _train(settings: Callable[[int], dict[str, Any]]) -> Callable[[TrainSpec, Data, int], Task]:
    """A train function whose ``compile`` takes ``settings(steps an epoch)``."""

    def train(spec: TrainSpec, data: Data, threads: int) -> Task:
        keras = _keras(threads)
        keras.utils.set_random_seed(data["seed"])
        model = _model(keras, spec, data["weights"])
        loss = "sparse_categorical_crossentropy" if spec.loss == "softmax_cross_entropy" else "mean_squared_error"
        model.compile(_optimizer(keras, spec), loss, **settings(math.ceil(spec.samples / spec.batch)))
        x, y = data["x"], data["y"]
        model.optimizer.build(model.trainable_variables)
        fresh = [np.array(variable) for variable in model.optimizer.variables]

        def reset() -> None:
            model.set_weights(data["weights"])
            for variable, value in zip(model.optimizer.variables, fresh, strict=True):
                variable.assign(value)

        def run() -> float:
            history = model.fit(x, y, batch_size=spec.batch, epochs=spec.epochs, verbose=0)
            return float(history.history["loss"][-1])

        return Task(run, reset)

    return train


def infer(spec: InferSpec, data: Data, threads: int) -> Task:
    """``predict(verbose=0)``, ``model(x)`` and, prepared, ``predict_on_batch``."""
    keras = _keras(threads)
    model = _model(keras, spec.model, data["weights"])
    x = data["x"]
    routes: dict[str, Callable[[], NDArray[np.float32]]] = {
        "predict": lambda: model.predict(x, batch_size=max(DEFAULT_BATCH, len(x)), verbose=0),
        "call": lambda: keras.ops.convert_to_numpy(model(x)),
        "prepared": lambda: model.predict_on_batch(x),
    }
    run = routes[spec.route]
    run()
    return Task(run)


def _jax_cache(folder: Path) -> dict[str, str]:
    return {"JAX_COMPILATION_CACHE_DIR": str(folder)}


def _peers(backend: str, package: str, best: Callable[[int], dict[str, Any]], note: str) -> tuple[Peer, Peer]:
    shared: dict[str, Any] = {
        "group": "keras",
        "import_line": "import keras",
        "missing": absent("keras", package),
        "environment": {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"},
        "cold_environment": _jax_cache if backend == "jax" else None,
        "own_order": True,
    }
    default = Peer(f"keras {backend}", train=_train(lambda steps: {}), infer=infer, note="compile's defaults.", **shared)
    return default, Peer(f"keras {backend} spe", train=_train(best), note=note, **shared)


PEERS = (
    *_peers(
        "jax",
        "jax",
        lambda steps: {"steps_per_execution": min(JAX_STEPS, steps), "jit_compile": True},
        f"steps_per_execution={JAX_STEPS}, jit_compile=True.",
    ),
    *_peers(
        "tensorflow",
        "tensorflow",
        lambda steps: {"steps_per_execution": steps, "jit_compile": True},
        "steps_per_execution: all steps of an epoch, jit_compile=True.",
    ),
)
