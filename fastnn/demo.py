"""``python -m fastnn demo``: 1,797 handwritten digits, a classifier, its learning curves."""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from fastnn import Input, Sequential
from fastnn.callbacks import Callback
from fastnn.datasets import digits
from fastnn.layers import Dense, Flatten
from fastnn.utils import set_random_seed
from fastnn.warmup import summary

INK = 16
"""A pixel's largest value in the digits."""

PICTURES = (".png", ".pdf", ".svg")
"""Endings of pictures' names that every matplotlib can write."""


class Stopwatch(Callback):
    """Seconds of each epoch, validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Start."""
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop."""
        self.seconds.append(time.perf_counter() - self._start)


def build() -> Sequential:
    """The classifier: 64 pixels, 64 hidden units, 10 classes."""
    model = Sequential([Input((8, 8)), Flatten(), Dense(64, activation="relu"), Dense(10, activation="softmax")], name="digits")
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def obstacle(epochs: int, output: str) -> str | None:
    """Why the demo cannot run to its end, found out before it trains; None when it can."""
    if epochs < 1:
        return f"--epochs must be at least 1, got {epochs}"
    path = Path(output)
    if path.is_dir():
        return f"--output must be a file, {output!r} is a folder"
    if path.suffix.lower() not in PICTURES:
        return f"--output must end in {' or '.join(PICTURES)}, got {output!r}"
    if not path.parent.is_dir():
        return f"--output: there is no folder {str(path.parent)!r}"
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return f"--output: {output!r} cannot be written"
    return None


def run(epochs: int, output: str) -> int:
    """Train, report, draw; returns the exit status."""
    if reason := obstacle(epochs, output):
        print(f"python -m fastnn demo: {reason}", file=sys.stderr)
        return 2
    set_random_seed(0)
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    order = np.random.permutation(len(x_train))  # validation_split takes the tail, and the file is sorted by writer
    model = build()
    model.summary()
    stopwatch = Stopwatch()
    start = time.perf_counter()
    history = model.fit(
        x_train[order] / INK, y_train[order], epochs=epochs, validation_split=0.1, callbacks=[stopwatch], verbose=1
    ).history
    total = time.perf_counter() - start
    _, accuracy = model.evaluate(x_test / INK, y_test, verbose=0)
    epoch_time = statistics.median(stopwatch.seconds)
    print()
    print(f"test accuracy   {accuracy:.4f} ({round(accuracy * len(x_test))} of {len(x_test)} digits it has not seen)")
    print(f"time            {epoch_time * 1000:.1f} ms an epoch (median of {epochs}), {total:.2f} s in all")
    print(f"kernels         {summary()}")
    draw(history, output, f"1,797 handwritten digits, 64-64-10 classifier: test accuracy {accuracy:.1%}")
    return 0


def draw(history: dict[str, list[float]], output: str, title: str) -> None:
    """Write the learning curves, or say what is missing."""
    from fastnn.plotting import learning_curves

    try:
        learning_curves(history, output, title=title)
    except ImportError:
        print(f"learning curves not drawn: {output} needs matplotlib (pip install matplotlib)")
    else:
        print(f"learning curves {output}")
