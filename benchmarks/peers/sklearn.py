"""scikit-learn's MLPClassifier, an epoch a ``partial_fit``: its own arithmetic on our weights, our order, our batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Peer, absent
from fastnn.bench.kernel_data import ADAM
from fastnn.bench.specs import Data, InferSpec, TrainSpec
from fastnn.bench.timing import Task


def _classifier(spec: TrainSpec, weights: list[NDArray[np.float32]], x: NDArray[np.float32]) -> Any:
    """An estimator that holds ``weights`` and no moments. One ``partial_fit`` of a few rows makes its attributes."""
    from sklearn.neural_network import MLPClassifier

    classes = np.arange(spec.widths[-1])
    batch = min(spec.batch, len(x))
    settings: dict[str, Any] = {"beta_1": ADAM["beta_1"], "beta_2": ADAM["beta_2"], "epsilon": ADAM["epsilon"]}
    if spec.optimizer == "sgd":
        settings = {"momentum": 0.0, "nesterovs_momentum": False}
    estimator = MLPClassifier(
        spec.widths[:-1],
        solver=spec.optimizer,
        alpha=0.0,
        batch_size=batch,
        learning_rate_init=spec.learning_rate,
        shuffle=False,
        **settings,
    )
    estimator.partial_fit(x[:batch], classes[np.arange(batch) % len(classes)], classes=classes)
    _load(estimator, weights)
    return estimator


def _load(estimator: Any, weights: list[NDArray[np.float32]]) -> None:
    """The weights by the public attributes; the next ``partial_fit`` makes the optimizer anew, which points to the old ones."""
    estimator.coefs_ = [kernel.copy() for kernel in weights[0::2]]
    estimator.intercepts_ = [bias.copy() for bias in weights[1::2]]
    del estimator._optimizer


def _covers(spec: TrainSpec) -> bool:
    return spec.loss == "softmax_cross_entropy" and spec.optimizer != "rmsprop" and spec.widths[-1] > 2


def train(spec: TrainSpec, data: Data, threads: int) -> Task | None:
    """None for RMSprop, which scikit-learn lacks, and for the squared error, which it halves."""
    if not _covers(spec):
        return None
    x, y, orders = data["x"], data["y"], data["orders"]
    estimator = _classifier(spec, data["weights"], x)

    def reset() -> None:
        nonlocal estimator
        estimator = _classifier(spec, data["weights"], x)

    def run() -> float:
        for order in orders:
            estimator.partial_fit(x[order], y[order])
        return float(estimator.loss_)

    return Task(run, reset)


def infer(spec: InferSpec, data: Data, threads: int) -> Task | None:
    """``predict_proba`` ("predict"), its one route."""
    if spec.route != "predict" or not _covers(spec.model):
        return None
    x = data["x"]
    estimator = _classifier(spec.model, data["weights"], np.resize(x, (max(len(x), spec.model.widths[-1]), x.shape[1])))

    def run() -> NDArray[np.float32]:
        result: NDArray[np.float32] = estimator.predict_proba(x)
        return result

    return Task(run)


PEERS = (
    Peer(
        "sklearn",
        "sklearn",
        "from sklearn.neural_network import MLPClassifier",
        absent("sklearn"),
        train=train,
        infer=infer,
        note="MLPClassifier.partial_fit an epoch, shuffle=False on the samples in order, alpha=0; threads are the BLAS's.",
    ),
)
