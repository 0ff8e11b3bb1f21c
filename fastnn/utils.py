"""What programs call around a model: one-hot labels, seeds, a fresh session. The names of ``keras.utils``."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn.errors import refuse_names
from fastnn.naming import reset_names
from fastnn.random import set_random_seed

__all__ = ["clear_session", "normalize", "set_random_seed", "to_categorical"]

refuse_names(__name__)


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> NDArray[np.float64]:
    """Class numbers as one-hot rows, for ``categorical_crossentropy``.

    Parameters
    ----------
    x
        Class numbers from 0, any shape; a last axis of length 1 is dropped.
    num_classes
        C, the length of a row; by default the largest class number plus 1.

    Returns
    -------
    ndarray
        float64, shape of ``x`` with C appended; 1 at the class, 0 elsewhere.

    Raises
    ------
    ValueError
        If ``x`` holds anything but whole numbers, a negative number, or one that is not below ``num_classes``.

    Examples
    --------
    >>> to_categorical([0, 2, 1])
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]])
    """
    classes = np.asarray(x)
    if classes.dtype.kind not in "buif":
        advice = "To number other labels: names, x = np.unique(x, return_inverse=True)"
        raise ValueError(f"x must hold class numbers, got dtype {classes.dtype}. {advice}")
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    labels = classes.astype(np.int64) if np.all(np.isfinite(classes)) else None
    if labels is None or not np.array_equal(labels, classes):
        raise ValueError("x must hold whole class numbers, got values with a fraction, NaN or inf")
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, -1)
    count = high + 1 if num_classes is None else num_classes
    if low < 0 or high >= count:
        start = " For classes 1..C write x - 1." if low == 1 and high == count else ""
        raise ValueError(f"x must hold class numbers from 0 to {count - 1}, got values from {low} to {high}.{start}")
    return (labels[..., np.newaxis] == np.arange(count)).astype(np.float64)


def normalize(x: ArrayLike, axis: int = -1, order: int = 2) -> NDArray:
    """``x`` divided by its norms along ``axis``; where a norm is 0 the values stay.

    Examples
    --------
    >>> normalize([[3.0, 4.0]])
    array([[0.6, 0.8]])
    """
    array = np.atleast_1d(np.asarray(x))
    norms = np.linalg.norm(array, order, axis, keepdims=True)
    norms[norms == 0] = 1
    return array / norms


def clear_session() -> None:
    """Start automatic layer names from the beginning again. Models hold their own memory; nothing else is kept."""
    reset_names()
