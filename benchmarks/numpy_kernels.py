"""The kernels in NumPy by hand: ufuncs that write in place, as a careful program does. A maker returns the call that is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.bench.kernel_data import ADAM, LEARNING_RATE, RMSPROP
from fastnn.bench.specs import Data
from fastnn.bench.with_numpy import softmax

Call = Callable[[], Any]
Array = NDArray[Any]

EPSILON = 1e-7


def matmul(d: Data, transpose_a: bool, transpose_b: bool) -> Call:
    """out = a @ b"""
    a, b = d["a"].T if transpose_a else d["a"], d["b"].T if transpose_b else d["b"]
    return lambda: np.matmul(a, b, out=d["out"])


def sigmoid_into(x: Array, out: Array) -> Array:
    """out = 1 / (1 + exp(-x))"""
    np.negative(x, out=out)
    np.exp(out, out=out)
    np.add(out, 1, out=out)
    return np.divide(1, out, out=out)


def sigmoid_backward(d: Data) -> Call:
    """dx = dout out (1 - out)"""
    out, dx = d["out"], d["dx"]

    def run() -> Any:
        np.subtract(1, out, out=dx)
        np.multiply(dx, out, out=dx)
        return np.multiply(dx, d["dout"], out=dx)

    return run


def tanh_backward(d: Data) -> Call:
    """dx = dout (1 - out^2)"""
    out, dx = d["out"], d["dx"]

    def run() -> Any:
        np.multiply(out, out, out=dx)
        np.subtract(1, dx, out=dx)
        return np.multiply(dx, d["dout"], out=dx)

    return run


def softmax_forward(d: Data) -> Call:
    """Over the last axis."""

    def run() -> Any:
        np.copyto(d["out"], d["x"])
        return softmax(d["out"])

    return run


def softmax_backward(d: Data) -> Call:
    """dx = out (dout - sum(out dout))"""
    out, dout, dx = d["out"], d["dout"], d["dx"]

    def run() -> Any:
        np.subtract(dout, np.einsum("mc,mc->m", out, dout)[:, np.newaxis], out=dx)
        return np.multiply(dx, out, out=dx)

    return run


def log_softmax(d: Data) -> Call:
    """out = x - max - log(sum(exp(x - max)))"""
    x, out, work = d["x"], d["out"], np.empty_like(d["x"])

    def run() -> Any:
        np.subtract(x, x.max(axis=1, keepdims=True), out=out)
        np.exp(out, out=work)
        return np.subtract(out, np.log(work.sum(axis=1, keepdims=True)), out=out)

    return run


def log_softmax_backward(d: Data) -> Call:
    """dx = dout - exp(out) sum(dout)"""
    dx, dout = d["dx"], d["dout"]

    def run() -> Any:
        np.exp(d["out"], out=dx)
        np.multiply(dx, dout.sum(axis=1, keepdims=True), out=dx)
        return np.subtract(dout, dx, out=dx)

    return run


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
        np.multiply(np.log(total), mass, out=total)
        np.subtract(total[:, 0], np.einsum("mc,mc->m", work, t), out=d["loss"])
        np.multiply(gradient, mass / gradient.sum(axis=1, keepdims=True), out=gradient)
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
    p, q, work = (np.empty_like(pred) for _ in range(3))

    def run() -> Any:
        np.clip(pred, EPSILON, 1 - EPSILON, out=p)
        np.subtract(1, p, out=q)
        np.log(p, out=work)
        np.multiply(work, t, out=work)
        np.log(q, out=gradient)
        np.subtract(work, gradient * (t - 1), out=work)
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


def accumulate(d: Data) -> Call:
    """total += (sum, count)"""

    def run() -> None:
        d["total"] += d["value"].sum(dtype=np.float64), len(d["value"])

    return run


def sgd(d: Data) -> Call:
    """w -= lr g"""
    w, work = d["params"], np.empty_like(d["params"])

    def run() -> Any:
        np.multiply(d["grads"], LEARNING_RATE, out=work)
        return np.subtract(w, work, out=w)

    return run


def adagrad(d: Data) -> Call:
    """a += g^2;  w -= lr g / sqrt(a + epsilon)"""
    g, w, a, work = d["grads"], d["params"], d["accumulator"], np.empty_like(d["params"])

    def run() -> Any:
        np.multiply(g, g, out=work)
        np.add(a, work, out=a)
        return _scaled_step(w, g, a, work)

    return run


def rmsprop(d: Data) -> Call:
    """v += (1 - rho) (g^2 - v);  w -= lr g / sqrt(v + epsilon)"""
    g, w, v, work = d["grads"], d["params"], d["velocity"], np.empty_like(d["params"])

    def run() -> Any:
        np.multiply(g, g, out=work)
        np.subtract(work, v, out=work)
        np.multiply(work, 1 - RMSPROP["rho"], out=work)
        np.add(v, work, out=v)
        return _scaled_step(w, g, v, work)

    return run


def _scaled_step(w: Array, g: Array, v: Array, work: Array) -> Array:
    """w -= lr g / sqrt(v + epsilon)"""
    np.add(v, RMSPROP["epsilon"], out=work)
    np.sqrt(work, out=work)
    np.divide(g, work, out=work)
    np.multiply(work, LEARNING_RATE, out=work)
    return np.subtract(w, work, out=w)


def adam(d: Data) -> Call:
    """One update at the rate of the first step."""
    g, w, m, v = (d[name] for name in ("grads", "params", "m", "v"))
    work, rate = np.empty_like(g), LEARNING_RATE * float(np.sqrt(1 - ADAM["beta_2"])) / (1 - ADAM["beta_1"])

    def run() -> Any:
        np.subtract(g, m, out=work)
        np.multiply(work, 1 - ADAM["beta_1"], out=work)
        np.add(m, work, out=m)
        np.multiply(g, g, out=work)
        np.subtract(work, v, out=work)
        np.multiply(work, 1 - ADAM["beta_2"], out=work)
        np.add(v, work, out=v)
        np.sqrt(v, out=work)
        np.add(work, ADAM["epsilon"], out=work)
        np.divide(m, work, out=work)
        np.multiply(work, rate, out=work)
        return np.subtract(w, work, out=w)

    return run


def shuffle(d: Data) -> Call:
    """A permutation by NumPy's own generator: not the one that others draw, so nothing is compared."""
    generator = np.random.default_rng(0)
    return lambda: generator.shuffle(d["index"])


KERNELS: dict[str, Callable[[Data], Call]] = {
    "shuffle": shuffle,
    "take_rows": lambda d: lambda: np.take(d["data"], d["index"], axis=0, out=d["out"]),
    "put_rows": lambda d: lambda: np.copyto(d["data"], d["x"]) or d["data"],  # type: ignore[func-returns-value]
    "sum_rows": lambda d: lambda: np.sum(d["x"], axis=0, out=d["out"]),
    "relu": lambda d: lambda: np.maximum(d["x"], 0, out=d["out"]),
    "relu_backward": lambda d: lambda: np.multiply(d["dout"], d["x"] > 0, out=d["dx"]),
    "sigmoid": lambda d: lambda: sigmoid_into(d["x"], d["out"]),
    "sigmoid_backward": sigmoid_backward,
    "tanh": lambda d: lambda: np.tanh(d["x"], out=d["out"]),
    "tanh_backward": tanh_backward,
    "softmax": softmax_forward,
    "softmax_backward": softmax_backward,
    "log_softmax": log_softmax,
    "log_softmax_backward": log_softmax_backward,
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
    "accumulate_mean": accumulate,
    "accumulate_loss": accumulate,
    "sgd": sgd,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "copy": lambda d: lambda: np.copyto(d["out"], d["x"]) or d["out"],  # type: ignore[func-returns-value]
}
"""By operation; what is missing is bookkeeping that a program in NumPy does in Python."""
