"""Losses with their gradients, and metrics, in NumPy by hand; see `numpy_kernels`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.bench.specs import Data
from fastnn.bench.with_numpy import softmax

Call = Callable[[], Any]
Array = NDArray[Any]

EPSILON = 1e-7


def sigmoid_into(x: Array, out: Array) -> Array:
    """out = 1 / (1 + exp(-x))"""
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    return np.divide(1, out, out=out)


def softmax_cross_entropy(d: Data) -> Call:
    """Loss and gradient of the mean, in passes over the array."""
    gradient, loss, labels, index = d["dlogits"], d["loss"], d["labels"], np.arange(len(d["labels"]))

    def run() -> Any:
        np.copyto(gradient, d["logits"])
        softmax(gradient)
        np.log(gradient[index, labels], out=loss)
        np.negative(loss, out=loss)
        gradient[index, labels] -= 1
        return np.multiply(gradient, d["scale"], out=gradient)

    return run


def softmax_cross_entropy_dense(d: Data) -> Call:
    """loss = -sum(t log_softmax(x)); gradient: sum(t) softmax(x) - t"""
    x, t, gradient, work = d["logits"], d["target"], d["dlogits"], np.empty_like(d["logits"])

    def run() -> Any:
        np.subtract(x, x.max(axis=1, keepdims=True), out=work)
        np.exp(work, out=gradient)
        total, mass = gradient.sum(axis=1, keepdims=True), t.sum(axis=1, keepdims=True)
        np.subtract((np.log(total) * mass)[:, 0], np.einsum("mc,mc->m", work, t), out=d["loss"])
        np.multiply(gradient, mass / total, out=gradient)
        np.subtract(gradient, t, out=gradient)
        return np.multiply(gradient, d["scale"], out=gradient)

    return run


def sigmoid_cross_entropy(d: Data) -> Call:
    """loss = mean(max(x, 0) - x t + log(1 + exp(-|x|))); gradient: (sigmoid(x) - t) / C"""
    x, t, gradient, work = d["logits"], d["target"], d["dlogits"], np.empty_like(d["logits"])

    def run() -> Any:
        np.abs(x, out=work)
        np.negative(work, out=work)
        np.exp(work, out=work)
        np.log1p(work, out=work)
        np.maximum(x, 0, out=gradient)
        np.add(work, gradient, out=work)
        np.multiply(x, t, out=gradient)
        np.subtract(work, gradient, out=work)
        np.mean(work, axis=1, out=d["loss"])
        sigmoid_into(x, gradient)
        np.subtract(gradient, t, out=gradient)
        return np.multiply(gradient, d["scale"] / x.shape[1], out=gradient)

    return run


def sparse_categorical_cross_entropy(d: Data) -> Call:
    """loss = -log(q), q = pred / sum(pred) at the label; gradient: 1 / sum(pred), less 1 / pred at the label"""
    pred, labels, index = d["pred"], d["labels"], np.arange(len(d["labels"]))

    def run() -> Any:
        total, picked = pred.sum(axis=1), pred[index, labels]
        np.log(np.clip(picked / total, EPSILON, 1 - EPSILON), out=d["loss"])
        np.negative(d["loss"], out=d["loss"])
        d["dpred"][...] = (d["scale"] / total)[:, np.newaxis]
        d["dpred"][index, labels] -= d["scale"] / picked
        return d["dpred"]

    return run


def categorical_cross_entropy(d: Data) -> Call:
    """loss = -sum(t log(q)), q = pred / sum(pred); gradient: (sum(t) - t / q) / sum(pred)"""
    pred, t, gradient, work = d["pred"], d["target"], d["dpred"], np.empty_like(d["pred"])

    def run() -> Any:
        total = pred.sum(axis=1, keepdims=True)
        np.divide(pred, total, out=work)
        np.clip(work, EPSILON, 1 - EPSILON, out=work)
        np.divide(t, work, out=gradient)
        np.log(work, out=work)
        np.negative(np.einsum("mc,mc->m", work, t), out=d["loss"])
        np.subtract(t.sum(axis=1, keepdims=True), gradient, out=gradient)
        return np.multiply(gradient, d["scale"] / total, out=gradient)

    return run


def binary_cross_entropy(d: Data) -> Call:
    """loss = -mean(t log(p) + (1 - t) log(1 - p)); gradient: (p - t) / (p (1 - p)) / C"""
    pred, t, gradient = d["pred"], d["target"], d["dpred"]
    p, q, work, other = (np.empty_like(pred) for _ in range(4))

    def run() -> Any:
        np.clip(pred, EPSILON, 1 - EPSILON, out=p)
        np.subtract(1, p, out=q)
        np.log(p, out=work)
        np.multiply(work, t, out=work)
        np.log(q, out=gradient)
        np.subtract(t, 1, out=other)
        np.multiply(gradient, other, out=gradient)
        np.subtract(work, gradient, out=work)
        np.negative(np.mean(work, axis=1), out=d["loss"])
        np.multiply(p, q, out=q)
        np.subtract(p, t, out=gradient)
        np.divide(gradient, q, out=gradient)
        return np.multiply(gradient, d["scale"] / pred.shape[1], out=gradient)

    return run


def difference_loss(slope: Callable[[Array, Array], Array], factor: float) -> Callable[[Data], Call]:
    """loss = mean(slope(d) d), d = pred - target; gradient: factor slope(d) / C"""

    def make(d: Data) -> Call:
        gradient, work = d["dpred"], np.empty_like(d["pred"])

        def run() -> Any:
            np.subtract(d["pred"], d["target"], out=work)
            slope(work, gradient)
            np.multiply(work, gradient, out=work)
            np.mean(work, axis=1, out=d["loss"])
            return np.multiply(gradient, factor * d["scale"] / work.shape[1], out=gradient)

        return run

    return make


LOSSES: dict[str, Callable[[Data], Call]] = {
    "softmax_cross_entropy": softmax_cross_entropy,
    "softmax_cross_entropy_dense": softmax_cross_entropy_dense,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
    "sparse_categorical_cross_entropy": sparse_categorical_cross_entropy,
    "categorical_cross_entropy": categorical_cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "mean_squared_error": difference_loss(lambda work, out: np.copyto(out, work) or out, 2.0),  # type: ignore[func-returns-value]
    "mean_absolute_error": difference_loss(lambda work, out: np.sign(work, out=out), 1.0),
    "binary_accuracy": lambda d: lambda: np.mean((d["pred"] > 0.5) == d["target"], axis=1, out=d["value"]),
    "categorical_accuracy": lambda d: lambda: np.equal(d["pred"].argmax(1), d["target"].argmax(1), out=d["value"]),
    "sparse_categorical_accuracy": lambda d: lambda: np.equal(d["pred"].argmax(1), d["labels"], out=d["value"]),
}
"""Losses and metrics, by operation."""
