"""Accuracies: how often predictions are right."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn.losses.arrays import as_result, row_values
from fastnn.metrics.base import RowMetric
from fastnn.tensor import Tensor as ArrayTensor

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor


class BinaryAccuracy(RowMetric):
    """How often ``(y_pred > threshold) == y_true``, y_true being 0 or 1.

    Parameters
    ----------
    name, dtype
        See `Metric`.
    threshold : float
        Predictions above it are a 1.

    Examples
    --------
    >>> float(BinaryAccuracy()([[1], [0], [0], [1]], [[0.9], [0.2], [0.7], [0.6]]))
    0.75
    """

    _direction = "up"

    def __init__(self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(name, dtype)
        self.threshold = float(threshold)

    def values(self, y_true: Any, y_pred: Any) -> NDArray[np.float64]:
        """One value a row."""
        return row_values("binary_accuracy", "dense", y_true, y_pred, threshold=self.threshold)

    def lower(self, b: Builder, output: Tensor, target: Tensor) -> Tensor:
        """Emit the row; of a sigmoid its input is compared, with log(t / (1 - t))."""
        from fastnn.lowering.heads import row_metric

        logits, threshold = b.source(output, "sigmoid"), self.threshold
        if logits is not None and 0.0 < threshold < 1.0:
            output, threshold = logits, math.log(threshold / (1.0 - threshold))
        return row_metric(b, "binary_accuracy", output, target, threshold=threshold)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a metric like this one."""
        return {**super().get_config(), "threshold": self.threshold}


class _Argmax(RowMetric):
    """Base of accuracies that compare the largest prediction: a softmax or a sigmoid does not change which one that is."""

    _direction = "up"
    op: str

    def values(self, y_true: Any, y_pred: Any) -> NDArray[np.float64]:
        """One value a row."""
        return row_values(self.op, self.target, y_true, y_pred)

    def lower(self, b: Builder, output: Tensor, target: Tensor) -> Tensor:
        """Emit the row; on the logits when ``output`` was made of them."""
        from fastnn.lowering.heads import row_metric

        return row_metric(b, self.op, b.source(output, "softmax") or output, target)


class CategoricalAccuracy(_Argmax):
    """How often the largest prediction is where y_true, one-hot, is largest.

    Parameters
    ----------
    name, dtype
        See `Metric`.

    Examples
    --------
    >>> float(CategoricalAccuracy()([[0, 1], [1, 0]], [[0.2, 0.8], [0.3, 0.7]]))
    0.5
    """

    op = "categorical_accuracy"

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)


class SparseCategoricalAccuracy(_Argmax):
    """How often the largest prediction is that of class y_true.

    Parameters
    ----------
    name, dtype
        See `Metric`.

    Examples
    --------
    >>> float(SparseCategoricalAccuracy()([1, 0], [[0.2, 0.8], [0.3, 0.7]]))
    0.5
    """

    target = "labels"
    op = "sparse_categorical_accuracy"

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(name, dtype)


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> ArrayTensor:
    """`BinaryAccuracy` of each row.

    >>> binary_accuracy([[1], [0]], [[0.9], [0.7]]).tolist()
    [1.0, 0.0]
    """
    metric = BinaryAccuracy(threshold=threshold)
    return as_result(metric.values(y_true, y_pred), metric.dtype)


def categorical_accuracy(y_true: Any, y_pred: Any) -> ArrayTensor:
    """`CategoricalAccuracy` of each row.

    >>> categorical_accuracy([[0, 1]], [[0.2, 0.8]]).tolist()
    [1.0]
    """
    metric = CategoricalAccuracy()
    return as_result(metric.values(y_true, y_pred), metric.dtype)


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> ArrayTensor:
    """`SparseCategoricalAccuracy` of each row.

    >>> sparse_categorical_accuracy([1, 0], [[0.2, 0.8], [0.3, 0.7]]).tolist()
    [1.0, 0.0]
    """
    metric = SparseCategoricalAccuracy()
    return as_result(metric.values(y_true, y_pred), metric.dtype)
