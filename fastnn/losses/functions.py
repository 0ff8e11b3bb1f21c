"""The losses as functions: one value a row."""

from __future__ import annotations

from typing import Any

from fastnn.losses.arrays import as_result
from fastnn.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from fastnn.losses.regression import MeanAbsoluteError, MeanSquaredError
from fastnn.tensor import Tensor


def mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    """`MeanSquaredError` of each row.

    >>> mean_squared_error([[0.0, 1.0]], [[1.0, 3.0]]).tolist()
    [2.5]
    """
    loss = MeanSquaredError()
    return as_result(loss.call(y_true, y_pred), loss.dtype)


def mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    """`MeanAbsoluteError` of each row.

    >>> mean_absolute_error([[0.0, 1.0]], [[1.0, 3.0]]).tolist()
    [1.5]
    """
    loss = MeanAbsoluteError()
    return as_result(loss.call(y_true, y_pred), loss.dtype)


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """`BinaryCrossentropy` of each row.

    >>> binary_crossentropy([[1.0]], [[0.0]], from_logits=True).round(4).tolist()
    [0.6930999755859375]
    """
    loss = BinaryCrossentropy(from_logits, label_smoothing, axis)
    return as_result(loss.call(y_true, y_pred), loss.dtype)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Tensor:
    """`CategoricalCrossentropy` of each row.

    >>> categorical_crossentropy([[0.0, 1.0]], [[0.0, 0.0]], from_logits=True).round(4).tolist()
    [0.6930999755859375]
    """
    loss = CategoricalCrossentropy(from_logits, label_smoothing, axis)
    return as_result(loss.call(y_true, y_pred), loss.dtype)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Tensor:
    """`SparseCategoricalCrossentropy` of each row.

    >>> sparse_categorical_crossentropy([1], [[0.0, 0.0]], from_logits=True).round(4).tolist()
    [0.6930999755859375]
    """
    loss = SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
    return as_result(loss.call(y_true, y_pred), loss.dtype)
