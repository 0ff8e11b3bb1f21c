"""Losses fused with their gradients: one value a row and, in the same pass, the gradient by the predictions."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn_kernels.cpu import cost
from fastnn_kernels.functions import places
from fastnn_kernels.functions.arrays import (
    check_apart,
    check_rows,
    check_shape,
    check_written,
    contiguous,
    deliver,
    floats,
    given,
    result_array,
    rows_of,
    run,
)
from fastnn_kernels.instructions import NO_CLASS
from fastnn_kernels.operands import number

IGNORED = -1
"""What a label that is ignored becomes: it lies outside every range of classes, and fits int32."""


def softmax_cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    scale: float = 1.0,
    label_smoothing: float = 0.0,
    ignore_class: int | None = None,
    out: NDArray | None = None,
    dlogits: NDArray | None = None,
    workers: int | None = None,
) -> NDArray:
    """Cross-entropy of the softmax of logits, exact, with its gradient in the same pass.

    ``loss = -sum(t * log_softmax(logits))`` over the last axis, t being one at the label, or the target smoothed:
    ``target * (1 - label_smoothing) + label_smoothing / C``. The gradient is that of ``scale * sum(weight * loss)``:
    ``dlogits = scale * weight * (sum(t) * softmax(logits) - t)``.

    Parameters
    ----------
    logits : array_like of shape (..., C)
        float32 or float64; at least one class.
    target : array_like of int of shape (...), or of logits' shape and dtype
        Labels from 0 to C - 1, or a probability for every class.
    weight : array_like of shape (...), optional
        A factor for each row's gradient, of logits' dtype. The losses are returned without it.
    scale : float
        A factor for all gradients: ``1 / len(logits)`` gives the gradient of the mean of a batch.
    label_smoothing : float
        From 0 to 1; with probabilities only (Szegedy et al. 2016).
    ignore_class : int, optional
        A label, also one outside the range, whose rows have a loss and gradient of 0.
    out : ndarray of shape (...), optional
        Where to write the losses.
    dlogits : ndarray of logits' shape and dtype, optional
        Where to write the gradient; without it none is computed. It may be logits itself: that costs a copy.
    workers : int, optional
        Threads to use; None chooses by the amount of work. The result is the same bits for any number.

    Returns
    -------
    ndarray of shape (...)
        The losses: ``out``, or a new array of logits' dtype.

    Raises
    ------
    TypeError
        If logits are neither float32 nor float64, an array's dtype does not fit, ``out`` or ``dlogits`` is not an array, or a
        number is none.
    ValueError
        If shapes do not fit, a label lies outside [0, C), an argument is given that only the other kind of target has,
        an array that is written is read-only or shares memory with another, a number is NaN or infinite, or ``workers`` is not
        from 1 to 1024.

    Examples
    --------
    >>> import numpy as np
    >>> logits, dlogits = np.zeros((2, 2)), np.empty((2, 2))
    >>> softmax_cross_entropy(logits, [0, 1], dlogits=dlogits)
    array([0.69314718, 0.69314718])
    >>> dlogits
    array([[-0.5,  0.5],
           [ 0.5, -0.5]])
    """
    x = floats("logits", logits)
    truth = given("target", target, x, "logits")
    check_rows("logits", x)
    smoothing, ignored = _smoothing(label_smoothing), _ignored(ignore_class)
    if truth.dtype.kind in "iu" or truth.shape == x.shape[:-1]:
        if smoothing != 0.0:
            raise ValueError(f"label_smoothing needs a target of logits' shape, got labels and {label_smoothing}")
        labels = _labels(truth, x, ignored)
        attributes: tuple[float, ...] = (NO_CLASS if ignored is None else IGNORED, 0)
        return _loss("softmax_cross_entropy", x, labels, attributes, weight, scale, out, ("dlogits", dlogits), workers)
    if ignored is not None:
        raise ValueError(f"ignore_class needs integer labels, got a target of dtype {truth.dtype}")
    attributes = (smoothing, 0)
    dense = _like("target", truth, x, "logits")
    return _loss("softmax_cross_entropy_dense", x, dense, attributes, weight, scale, out, ("dlogits", dlogits), workers)


def sigmoid_cross_entropy(
    logits: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    scale: float = 1.0,
    label_smoothing: float = 0.0,
    out: NDArray | None = None,
    dlogits: NDArray | None = None,
    workers: int | None = None,
) -> NDArray:
    """Binary cross-entropy of the sigmoid of logits, exact, with its gradient in the same pass.

    ``loss = mean(max(x, 0) - x * t + log(1 + exp(-|x|)))`` over the last axis, with the logits x and the smoothed target
    ``t = target * (1 - label_smoothing) + label_smoothing / 2``. The gradient is that of ``scale * sum(weight * loss)``:
    ``dlogits = scale * weight * (sigmoid(x) - t) / C``.

    Parameters
    ----------
    logits : array_like of shape (..., C)
        float32 or float64; at least one column.
    target : array_like of logits' shape and dtype
        0, 1 or a probability for every logit.
    label_smoothing : float
        From 0 to 1 (Szegedy et al. 2016).
    weight, scale, out, dlogits, workers
        As in `softmax_cross_entropy`.

    Returns
    -------
    ndarray of shape (...)
        The losses: ``out``, or a new array of logits' dtype.

    Raises
    ------
    TypeError, ValueError
        As `softmax_cross_entropy`.

    Examples
    --------
    >>> sigmoid_cross_entropy([[-800.0, 800.0], [800.0, 800.0]], [[1.0, 1.0], [1.0, 1.0]])
    array([400.,   0.])
    """
    x = floats("logits", logits)
    check_rows("logits", x)
    truth, attributes = _like("target", target, x, "logits"), (_smoothing(label_smoothing), 0)
    return _loss("sigmoid_cross_entropy", x, truth, attributes, weight, scale, out, ("dlogits", dlogits), workers)


def mean_squared_error(
    pred: ArrayLike,
    target: ArrayLike,
    *,
    weight: ArrayLike | None = None,
    scale: float = 1.0,
    out: NDArray | None = None,
    dpred: NDArray | None = None,
    workers: int | None = None,
) -> NDArray:
    """Mean squared error of each row, with its gradient.

    ``loss = mean((pred - target)**2)`` over the last axis. The gradient is that of ``scale * sum(weight * loss)``:
    ``dpred = scale * weight * 2 * (pred - target) / C``.

    Parameters
    ----------
    pred : array_like of shape (..., C)
        float32 or float64; at least one column.
    target : array_like of pred's shape and dtype
        What was to be predicted.
    dpred : ndarray of pred's shape and dtype, optional
        Where to write the gradient; without it none is computed. It may be pred itself: that costs a copy.
    weight, scale, out, workers
        As in `softmax_cross_entropy`.

    Returns
    -------
    ndarray of shape (...)
        The losses: ``out``, or a new array of pred's dtype.

    Raises
    ------
    TypeError, ValueError
        As `softmax_cross_entropy`.

    Examples
    --------
    >>> mean_squared_error([[1.0, 2.0]], [[3.0, 5.0]])
    array([6.5])
    """
    x = floats("pred", pred)
    check_rows("pred", x)
    truth = _like("target", target, x, "pred")
    return _loss("mean_squared_error", x, truth, (0,), weight, scale, out, ("dpred", dpred), workers)


def _loss(
    op: str,
    x: Any,
    truth: Any,
    attributes: tuple[float, ...],
    weight: ArrayLike | None,
    scale: float,
    out: Any,
    gradient: tuple[str, Any],
    workers: int | None,
) -> Any:
    """Run a loss on checked predictions and targets; ``gradient``: the name and value of the argument to write it to."""
    scale = number("scale", scale)
    gradient_name, slopes_out = gradient
    name, factors = gradient_name[1:], None
    if weight is not None:
        factors = floats("weight", weight, x, name)
        check_shape("weight", factors, x.shape[:-1], "one for each row")
    inputs = (x, truth, factors)
    losses = result_array(out, x.shape[:-1], x.dtype, *inputs, first=name)
    slopes = None if slopes_out is None else result_array(slopes_out, x.shape, x.dtype, *inputs, first=name, name=gradient_name)
    if out is not None and slopes_out is not None:
        given_outs = {"out": (out, x.shape[:-1]), gradient_name: (slopes_out, x.shape)}
        check_apart({}, {key: check_written(key, o, shape, x.dtype, x, name) for key, (o, shape) in given_outs.items()})
    streams = x.nbytes + truth.nbytes + (0 if slopes is None else slopes.nbytes)
    factor = None if scale == 1.0 else places.beside(np.array([scale], x.dtype), x)
    operands = (contiguous(x), contiguous(truth), None if factors is None else contiguous(factors), factor, losses, slopes)
    run(op, x.dtype, operands, rows_of(x), attributes, workers, cost.streaming_ns(streams))
    if slopes is not None:
        deliver(slopes, slopes_out)
    return deliver(losses, out)


def _like(name: str, value: Any, like: Any, first: str) -> Any:
    """An array of the shape and dtype of the argument ``first``."""
    array = floats(name, value, like, first)
    check_shape(name, array, like.shape, f"that of {first}")
    return array


def _labels(given: Any, logits: Any, ignore_class: int | None) -> Any:
    """Labels as int32: in [0, C), or `IGNORED`. Those on the GPU come to the host, where they are looked at, and go back."""
    labels = given if isinstance(given, np.ndarray) else given.copy_to_host()
    shape, classes = logits.shape[:-1], logits.shape[-1]
    if labels.shape == logits.shape != shape:
        raise TypeError(f"a target of logits' shape must be {logits.dtype}, got {labels.dtype}; target.astype(logits.dtype)")
    check_shape("target", labels, shape, "one label for each row of logits")
    if labels.dtype.kind not in "iu" and labels.size:  # an empty list is float64 to NumPy
        raise TypeError(f"target has the shape of labels, which must be integers, got {labels.dtype}; target.astype(int)")
    wrong = (labels < 0) | (labels >= classes)
    if ignore_class is not None:
        ignored = labels == ignore_class
        wrong &= ~ignored
    if wrong.any():
        place = tuple(map(int, np.argwhere(wrong)[0]))
        raise ValueError(f"target must hold labels from 0 to {classes - 1}, got {labels[place]} at {place}")
    narrow = labels.astype(np.int32)
    if ignore_class is not None:
        narrow[ignored] = IGNORED
    return places.beside(narrow, logits)


def _smoothing(value: float) -> float:
    smoothing = number("label_smoothing", value)
    if not 0.0 <= smoothing <= 1.0:
        raise ValueError(f"label_smoothing must lie between 0 and 1, got {value!r}")
    return smoothing


def _ignored(ignore_class: int | None) -> int | None:
    """The class to ignore as an int of any size: labels have their own dtypes."""
    if ignore_class is None:
        return None
    try:
        return operator.index(ignore_class)
    except TypeError:
        raise TypeError(f"ignore_class must be None or an integer, got {ignore_class!r}") from None
