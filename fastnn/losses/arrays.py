"""Losses and metrics on arrays: shapes aligned as Keras does, then the reference's float64 functions, one value a row."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastnn_kernels.instructions import INSTRUCTIONS
from numpy.typing import NDArray

from fastnn.tensor import Tensor

Array = NDArray[np.float64]


def row_values(op: str, kind: str, y_true: Any, y_pred: Any, **attributes: float) -> Array:
    """One value a row of the loss or metric instruction ``op``.

    Parameters
    ----------
    op : str
        Name of the instruction.
    kind : str
        ``"labels"``: y_true (...,) or (..., 1) of classes; ``"dense"``: y_true of the shape of y_pred.
    y_true, y_pred : array_like
        Truth, and predictions (..., C).
    **attributes
        The instruction's, but for ``accumulate``; labels equal to ``ignore_class`` need not be classes.

    Returns
    -------
    ndarray
        float64, shape ``y_pred.shape[:-1]``.

    Raises
    ------
    ValueError
        If the shapes do not fit, or a label is no class.
    """
    from fastnn_kernels.reference.kernels import KERNELS

    truth, pred = _numbers("y_true", y_true), _numbers("y_pred", y_pred)
    truth, pred = align_labels(truth, pred) if kind == "labels" else align(truth, pred)
    rows = pred.reshape(-1, pred.shape[-1])
    if kind == "labels":
        target: NDArray[Any] = _classes(truth, pred.shape[-1], attributes.get("ignore_class")).reshape(-1)
    else:
        target = truth.reshape(rows.shape)
    out = np.empty(len(rows))
    given = {"loss": out, "value": out}  # weights, scale and gradient are absent
    operands = [rows, target, *(given.get(spec.name) for spec in INSTRUCTIONS[op].operands[2:])]
    values = [{"accumulate": 0, **attributes}[name] for name, _ in INSTRUCTIONS[op].attributes]
    with np.errstate(all="ignore"):
        KERNELS[op](*operands, *values)
    return out.reshape(pred.shape[:-1])


def _numbers(what: str, value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype.kind not in "buif":
        raise ValueError(f"{what} must hold numbers, got dtype {array.dtype}")
    return array.astype(np.float64)


def align(truth: Array, pred: Array) -> tuple[Array, Array]:
    """Both with one shape: a last axis of length 1 is added or dropped where the ranks differ by one.

    Raises
    ------
    ValueError
        If the shapes differ all the same: they are never broadcast.
    """
    received = truth.shape, pred.shape
    if truth.ndim == pred.ndim + 1 and truth.shape[-1] == 1:
        truth, pred = (truth, pred[..., np.newaxis]) if pred.ndim == 1 else (truth[..., 0], pred)
    elif pred.ndim == truth.ndim + 1 and pred.shape[-1] == 1:
        truth, pred = (truth[..., np.newaxis], pred) if truth.ndim == 1 else (truth, pred[..., 0])
    if truth.shape != pred.shape or not pred.ndim:
        raise ValueError(
            f"y_true and y_pred must have the same shape. Received: y_true.shape={received[0]}, y_pred.shape={received[1]}"
        )
    return truth, pred


def align_labels(truth: Array, pred: Array) -> tuple[Array, Array]:
    """Labels with the shape of the predictions without their last axis.

    Raises
    ------
    ValueError
        If they do not fit; one-hot labels are named.
    """
    labels = truth[..., 0] if truth.ndim == pred.ndim and truth.shape[-1] == 1 else truth
    if not pred.ndim or labels.shape != pred.shape[:-1]:
        one_hot = " One-hot labels go with categorical_crossentropy." if truth.shape == pred.shape else ""
        raise ValueError(
            "y_true must hold one class number for each row of y_pred: the same shape up until the last dimension. Received: "
            f"y_true.shape={truth.shape}, y_pred.shape={pred.shape}.{one_hot}"
        )
    return labels, pred


def _classes(labels: Array, classes: int, ignore_class: float | None) -> NDArray[np.int32]:
    """``labels`` as int32, when each is a whole number in [0, classes) or ``ignore_class``."""
    bad = ~((labels >= 0) & (labels < classes) & (labels == np.floor(labels)))
    if ignore_class is not None:
        bad &= labels != ignore_class
    if bad.any():
        shift = " For classes 1..C write y - 1." if labels.min() == 1 and labels.max() == classes else ""
        raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}, got {labels[bad].flat[0]:g}.{shift}")
    return labels.astype(np.int32)


def align_weight(weight: Any, shape: tuple[int, ...]) -> Array:
    """``sample_weight`` with one weight for each row: weights of samples go to all their rows.

    Raises
    ------
    ValueError
        If it fits neither the samples nor the rows.
    """
    given = _numbers("sample_weight", weight)
    array = given[..., 0] if given.ndim == len(shape) + 1 and given.shape[-1] == 1 else given
    array = array.reshape(array.shape + (1,) * (len(shape) - array.ndim))
    try:
        return np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(f"sample_weight of shape {given.shape} fits neither the samples nor the rows of values {shape}") from None


def as_result(values: Any, dtype: str) -> Tensor:
    """``values`` as what users get: an array, or a scalar, with ``.numpy()``."""
    return np.asarray(values, dtype).view(Tensor)
