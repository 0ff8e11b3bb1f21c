"""W11: how good after how long. Curves of (seconds of training, score on data that was not trained on)."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.bench.specs import QualitySpec

DATA_VARIABLE = "FASTNN_DATA"
"""The variable that names a folder with ``mnist.npz``, as Keras stores it in ``~/.keras/datasets``."""

Curve = list[tuple[float, float]]
Part = tuple[NDArray[Any], NDArray[Any]]

SEED = 0
EPOCHS = 60
TREE_COUNTS = (10, 20, 50, 100, 200, 400)


def own_images() -> Path | None:
    """MNIST in the user's folder."""
    folder = os.environ.get(DATA_VARIABLE)
    file = None if folder is None else Path(folder) / "mnist.npz"
    return file if file is not None and file.is_file() else None


def data_name(spec: QualitySpec) -> str:
    """Which images there are; nothing for a table."""
    return ("MNIST" if own_images() else "digits") if spec.dataset == "images" else ""


def images() -> tuple[Part, Part]:
    """MNIST from the user's folder, else the digits that come with fastnn; pixels within 0 and 1, one row an image."""
    file = own_images()
    if file is not None:
        with np.load(file) as stored:
            train, test = (stored["x_train"], stored["y_train"]), (stored["x_test"], stored["y_test"])
        white = 255
    else:
        from fastnn.datasets import digits

        train, test = digits.load_data()
        white = 16

    def flat(part: Part) -> Part:
        return part[0].reshape(len(part[0]), -1).astype(np.float32) / white, part[1].astype(np.int32)

    return flat(train), flat(test)


def table(kind: str, samples: int = 20_000) -> tuple[Part, Part]:
    """Ten uniform columns, five of which matter, a standardized target with noise; 80% to train.

    "smooth" is Friedman's function (1991), which networks like. "steps" is piecewise constant, which trees like, and much
    real data with them (Grinsztajn, Oyallon and Varoquaux 2022).
    """
    generator = np.random.default_rng(SEED)
    x = generator.random((samples, 10))
    if kind == "smooth":
        y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
    else:
        cells = np.floor(x[:, :5] * [4, 4, 3, 8, 2]).astype(int)
        values = [generator.standard_normal(size) * 4 for size in ((4, 4), (3, 8), (4, 2))]
        y = values[0][cells[:, 0], cells[:, 1]] + values[1][cells[:, 2], cells[:, 3]] + values[2][cells[:, 0], cells[:, 4]]
    y += generator.standard_normal(samples)
    y = (y - y.mean()) / y.std()
    cut = samples * 4 // 5
    x, y = x.astype(np.float32), y.astype(np.float32)[:, np.newaxis]
    return (x[:cut], y[:cut]), (x[cut:], y[cut:])


def error(predicted: NDArray[Any], truth: NDArray[Any]) -> float:
    """The root of the mean squared error; 1 for a prediction of the mean."""
    return float(np.sqrt(np.mean((predicted.ravel() - truth.ravel()) ** 2)))


def by_fastnn(spec: QualitySpec, threads: int) -> Curve:
    """A dense model, scored after every epoch."""
    from fastnn import Input, Sequential, config
    from fastnn.layers import Dense
    from fastnn.utils import set_random_seed

    config.set_num_threads(threads)
    if spec.dataset == "images":
        (x, y), test = images()
    else:
        (x, y), test = table(spec.dataset)

    def build() -> Any:
        set_random_seed(SEED)
        if spec.dataset == "images":
            model = Sequential([Input((x.shape[1],)), Dense(128, activation="relu"), Dense(10, activation="softmax")])
            model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        else:
            model = Sequential([Input((x.shape[1],)), Dense(64, activation="relu"), Dense(64, activation="relu"), Dense(1)])
            model.compile("adam", "mean_squared_error")
        return model

    def score() -> float:
        return model.evaluate(*test, verbose=0)[1] if spec.target else error(model.predict(test[0], verbose=0), test[1])

    build().fit(x[:32], y[:32], verbose=0)  # the warm-up, which may compile kernels
    model = build()
    return _epochs(lambda: model.fit(x, y, batch_size=32, verbose=0), score, spec.target)


def by_sklearn(spec: QualitySpec, threads: int) -> Curve:
    """scikit-learn's MLP of the same shape, batch and optimizer; ``partial_fit`` is one epoch."""
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    if spec.dataset == "images":
        (x, y), test = images()
        classes = np.arange(10)
        classifier = MLPClassifier((128,), batch_size=32, alpha=0, random_state=SEED)
        return _epochs(lambda: classifier.partial_fit(x, y, classes=classes), lambda: classifier.score(*test), spec.target)
    (x, y), test = table(spec.dataset)
    regressor = MLPRegressor(hidden_layer_sizes=(64, 64), batch_size=32, alpha=0, random_state=SEED)
    return _epochs(lambda: regressor.partial_fit(x, y[:, 0]), lambda: error(regressor.predict(test[0]), test[1]), spec.target)


def by_trees(spec: QualitySpec, threads: int) -> Curve:
    """scikit-learn's gradient-boosted trees: one whole fit for each number of trees."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    (x, y), test = table(spec.dataset)
    curve: Curve = []
    for count in TREE_COUNTS:
        model = HistGradientBoostingRegressor(max_iter=count, early_stopping=False, random_state=SEED)
        start = time.perf_counter()
        model.fit(x, y[:, 0])
        curve.append((time.perf_counter() - start, error(model.predict(test[0]), test[1])))
    return curve


def _epochs(train: Callable[[], Any], score: Callable[[], float], target: float) -> Curve:
    """Train epoch after epoch until ``target`` is reached, if there is one; only training is timed."""
    seconds, curve = 0.0, []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        train()
        seconds += time.perf_counter() - start
        curve.append((seconds, float(score())))
        if target and curve[-1][1] >= target:
            break
    return curve


CURVES: dict[str, Callable[[QualitySpec, int], Curve]] = {"fastnn": by_fastnn, "sklearn": by_sklearn, "sklearn trees": by_trees}
"""By the name of the peer."""
