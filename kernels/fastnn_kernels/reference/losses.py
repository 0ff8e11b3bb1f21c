"""Losses: one value a row, and the gradient of scale * sum(weight * loss).

Values on probabilities are Keras 3's, ``keras/src/backend/jax/nn.py`` and ``keras/src/losses/losses.py``: probabilities are
clipped to [1e-7, 1 - 1e-7] and pass no gradient where they are. Values on logits are exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.instructions import EPSILON, REDUCTION_MEAN, REDUCTION_WEIGHTED_MEAN
from fastnn_kernels.reference.activations import log_softmax_of, sigmoid_of
from fastnn_kernels.reference.storage import Array, float64, store

Labels = NDArray[np.int32]


def loss_scale(
    weight: Array | None, labels: Labels | None, scale: Array, rows: int, reduction: int, factor: float, ignore_class: int
) -> None:
    """scale = factor * (1 | 1/rows that count | 1/sum of their weights); 0 where that divides by 0 (Keras: ``divide_no_nan``)."""
    counts = np.ones(rows) if labels is None else (labels != ignore_class).astype(np.float64)
    divisor = 1.0
    if reduction == REDUCTION_MEAN:
        divisor = counts.sum()
    elif reduction == REDUCTION_WEIGHTED_MEAN:
        divisor = counts.sum() if weight is None else (float64(weight) * counts).sum()
    scale[...] = factor / divisor if divisor != 0.0 else 0.0


def _write(
    loss: Array, value: Array, dinput: Array | None, gradient: Array, weight: Array | None, scale: Array | None, accumulate: int
) -> None:
    """loss = value; dinput[m] = scale * weight[m] * gradient[m]; an absent scale or weight is 1."""
    loss[...] = value
    if dinput is not None:
        weights = np.ones(len(value)) if weight is None else float64(weight)
        factor = weights if scale is None else float64(scale)[0] * weights
        store(dinput, factor[:, None] * gradient, accumulate)


def _one_hot(labels: Labels, classes: int, ignore_class: int) -> Array:
    """(M, C): 1 at a row's label; a row of zeros for the ignored class and for labels outside [0, C)."""
    return ((labels[:, None] == np.arange(classes)) & (labels != ignore_class)[:, None]).astype(np.float64)


def _smooth(target: Array, label_smoothing: float, classes: int) -> Array:
    """target * (1 - label_smoothing) + label_smoothing / classes (Szegedy et al. 2016)."""
    return float64(target) * (1.0 - label_smoothing) + label_smoothing / classes


def _counted(counts: NDArray[np.bool_], value: Array, gradient: Array) -> tuple[Array, Array]:
    """Value and gradient, both 0 in the rows that do not count, whatever their predictions are."""
    return np.where(counts, value, 0.0), np.where(counts[:, None], gradient, 0.0)


def _picked(target: Array, log_probability: Array) -> Array:
    """-sum over c of target * log_probability; a target of 0 takes nothing, not even of log(0)."""
    return -np.where(target == 0.0, 0.0, target * log_probability).sum(axis=1)


def softmax_cross_entropy(
    logits: Array,
    labels: Labels,
    weight: Array | None,
    scale: Array | None,
    loss: Array,
    dlogits: Array | None,
    ignore_class: int,
    accumulate: int,
) -> None:
    """loss[m] = log(sum(exp(logits[m]))) - logits[m, label]; dlogits = softmax(logits) - one_hot(label)."""
    target = _one_hot(labels, logits.shape[1], ignore_class)
    log_p = log_softmax_of(float64(logits))
    label = target.argmax(axis=1)
    at_label = -np.take_along_axis(log_p, label[:, None], axis=1)[:, 0]
    value, gradient = _counted(target.max(axis=1) == 1.0, at_label, np.exp(log_p) - target)
    _write(loss, value, dlogits, gradient, weight, scale, accumulate)


def softmax_cross_entropy_dense(
    logits: Array,
    target: Array,
    weight: Array | None,
    scale: Array | None,
    loss: Array,
    dlogits: Array | None,
    label_smoothing: float,
    accumulate: int,
) -> None:
    """loss[m] = -sum(t * log_softmax(logits[m])), t = smoothed target; dlogits = sum(t) * softmax(logits) - t."""
    t = _smooth(target, label_smoothing, logits.shape[1])
    log_p = log_softmax_of(float64(logits))
    gradient = t.sum(axis=1, keepdims=True) * np.exp(log_p) - t
    _write(loss, _picked(t, log_p), dlogits, gradient, weight, scale, accumulate)


def sigmoid_cross_entropy(
    logits: Array,
    target: Array,
    weight: Array | None,
    scale: Array | None,
    loss: Array,
    dlogits: Array | None,
    label_smoothing: float,
    accumulate: int,
) -> None:
    """loss[m] = mean(max(x, 0) - x * t + log(1 + exp(-|x|))), t = smoothed target; dlogits = (sigmoid(x) - t) / C."""
    x, classes = float64(logits), logits.shape[1]
    t = _smooth(target, label_smoothing, 2)
    value = np.maximum(x, 0.0) - x * t + np.log1p(np.exp(-np.abs(x)))
    _write(loss, value.mean(axis=1), dlogits, (sigmoid_of(x) - t) / classes, weight, scale, accumulate)


def _log_probability(pred: Array) -> tuple[Array, Array, Array]:
    """q = pred / sum(pred), log(clip(q)) and the log's derivative by q: 1/q, 0 where q is clipped."""
    q = pred / pred.sum(axis=1, keepdims=True)
    clipped = np.clip(q, EPSILON, 1.0 - EPSILON)
    return q, np.log(clipped), np.where(clipped == q, 1.0 / clipped, 0.0)


def _through_normalization(dq: Array, q: Array, pred: Array) -> Array:
    """Gradient by pred of q = pred / sum(pred): (dq - sum(dq * q)) / sum(pred)."""
    return (dq - (dq * q).sum(axis=1, keepdims=True)) / pred.sum(axis=1, keepdims=True)


def sparse_categorical_cross_entropy(
    pred: Array,
    labels: Labels,
    weight: Array | None,
    scale: Array | None,
    loss: Array,
    dpred: Array | None,
    ignore_class: int,
    accumulate: int,
) -> None:
    """loss[m] = -log(clip(pred[m, label] / sum(pred[m]))); dpred as for `categorical_cross_entropy` with a one-hot target."""
    p, target = float64(pred), _one_hot(labels, pred.shape[1], ignore_class)
    q, log_q, dlog_q = _log_probability(p)
    gradient = _through_normalization(-target * dlog_q, q, p)
    value, gradient = _counted(target.max(axis=1) == 1.0, -(target * log_q).sum(axis=1), gradient)
    _write(loss, value, dpred, gradient, weight, scale, accumulate)


def categorical_cross_entropy(
    pred: Array,
    target: Array,
    weight: Array | None,
    scale: Array | None,
    loss: Array,
    dpred: Array | None,
    label_smoothing: float,
    accumulate: int,
) -> None:
    """loss[m] = -sum(t * log(clip(q))), q = pred / sum(pred); dpred = (dq - sum(dq * q)) / sum(pred), dq = -t/q unless clipped."""
    p, t = float64(pred), _smooth(target, label_smoothing, pred.shape[1])
    q, log_q, dlog_q = _log_probability(p)
    gradient = _through_normalization(-t * dlog_q, q, p)
    _write(loss, -(t * log_q).sum(axis=1), dpred, gradient, weight, scale, accumulate)


def binary_cross_entropy(
    pred: Array,
    target: Array,
    weight: Array | None,
    scale: Array | None,
    loss: Array,
    dpred: Array | None,
    label_smoothing: float,
    accumulate: int,
) -> None:
    """loss[m] = -mean(t * log(p) + (1 - t) * log(1 - p)), p = clip(pred); dpred = (p - t) / (p * (1 - p)) / C unless clipped."""
    t, classes = _smooth(target, label_smoothing, 2), pred.shape[1]
    p = np.clip(float64(pred), EPSILON, 1.0 - EPSILON)
    value = -(t * np.log(p) + (1.0 - t) * np.log(1.0 - p)).mean(axis=1)
    gradient = np.where(p == pred, (p - t) / (p * (1.0 - p)) / classes, 0.0)
    _write(loss, value, dpred, gradient, weight, scale, accumulate)


def mean_squared_error(
    pred: Array, target: Array, weight: Array | None, scale: Array | None, loss: Array, dpred: Array | None, accumulate: int
) -> None:
    """loss[m] = mean((pred - target)**2); dpred = 2 * (pred - target) / C."""
    difference = float64(pred) - float64(target)
    gradient = 2.0 * difference / pred.shape[1]
    _write(loss, (difference**2).mean(axis=1), dpred, gradient, weight, scale, accumulate)


def mean_absolute_error(
    pred: Array, target: Array, weight: Array | None, scale: Array | None, loss: Array, dpred: Array | None, accumulate: int
) -> None:
    """loss[m] = mean(|pred - target|); dpred = sign(pred - target) / C, 0 at 0."""
    difference = float64(pred) - float64(target)
    gradient = np.sign(difference) / pred.shape[1]
    _write(loss, np.abs(difference).mean(axis=1), dpred, gradient, weight, scale, accumulate)
