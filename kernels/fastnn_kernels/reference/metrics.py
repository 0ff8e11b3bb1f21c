"""Metrics with values of their own: one value a row. Losses used as metrics are in ``losses``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.reference.storage import Array


def binary_accuracy(pred: Array, target: Array, value: Array, threshold: float) -> None:
    """value[m] = mean over the classes of (pred > threshold) == target."""
    value[...] = ((pred > threshold) == target).mean(axis=1)


def categorical_accuracy(pred: Array, target: Array, value: Array) -> None:
    """value[m] = argmax(pred[m]) == argmax(target[m]); the first of equal ones."""
    value[...] = pred.argmax(axis=1) == target.argmax(axis=1)


def sparse_categorical_accuracy(pred: Array, labels: NDArray[np.int32], value: Array) -> None:
    """value[m] = argmax(pred[m]) == labels[m]; the first of equal ones."""
    value[...] = pred.argmax(axis=1) == labels
