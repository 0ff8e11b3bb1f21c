"""Sample weights and class weights: one weight per loss row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.training.arrays import as_array, cast, check_finite


def sample_weights(value: Any, count: int, rows: tuple[int, ...], dtype: str, name: str = "sample_weight") -> NDArray[Any]:
    """``value`` as weights (count, *rows): one per sample, spread over the sample's rows, or one per row.

    Raises
    ------
    ValueError
        For another shape, NaN or inf.
    """
    array = as_array(value, name)
    if array.shape[1:] == (*rows, 1) or (array.ndim == 2 and array.shape[1] == 1):
        array = array[..., 0]
    if len(array) != count or array.shape[1:] not in ((), rows):
        raise ValueError(f"{name} has shape {array.shape}; it needs one weight per sample, shape ({count},)")
    check_finite(array, name)
    if array.ndim == 1 and rows:
        array = np.repeat(array, math.prod(rows)).reshape(count, *rows)
    return cast(array, dtype)


def class_weights(class_weight: Any, y: NDArray[Any], dtype: str) -> NDArray[Any]:
    """The weight of each sample's class (N,): ``y`` holds class numbers (N,) or (N, 1), or one-hot rows (N, C).

    Classes that ``class_weight`` does not name weigh 1.

    Raises
    ------
    ValueError
        When ``class_weight`` is no dict, or a key or a value is no number.
    """
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            f"class_weight must be a dict from class number to weight, such as {{0: 1.0, 1: 2.5}}; got {class_weight!r}. "
            "For an array of weights write dict(enumerate(weights))"
        )
    try:
        table = {int(key): float(weight) for key, weight in class_weight.items()}
    except (TypeError, ValueError):
        raise ValueError(f"class_weight must map class numbers to weights, got {class_weight!r}") from None
    if y.ndim > 2:
        raise ValueError(f"class_weight needs one class per sample, y has shape {y.shape}; use sample_weight")
    classes = np.argmax(y, axis=1) if y.ndim == 2 and y.shape[1] > 1 else np.rint(y.reshape(-1)).astype(np.int64)
    weights = np.ones(len(classes), dtype)
    for number, weight in table.items():
        weights[classes == number] = weight
    return weights
