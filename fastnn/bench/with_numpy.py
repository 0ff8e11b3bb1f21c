"""The workloads in NumPy, written by hand: arrays that are used again, no framework. The peer that is always there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.bench.kernel_data import ADAM, RMSPROP
from fastnn.bench.specs import Data, InferSpec, TrainSpec
from fastnn.bench.timing import Task

Array = NDArray[Any]


def softmax(logits: Array) -> Array:
    """Probabilities over the last axis, in place."""
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=1, keepdims=True)
    return logits


def forward(weights: list[Array], x: Array) -> list[Array]:
    """``[x, h1, h2, ..., logits]``, h = relu(x @ W + b)."""
    values = [x]
    for kernel, bias in zip(weights[0::2], weights[1::2], strict=True):
        out = values[-1] @ kernel
        out += bias
        values.append(out)
        if len(values) <= len(weights) // 2:
            np.maximum(out, 0, out=out)
    return values


def backward(weights: list[Array], values: list[Array], gradient: Array, gradients: list[Array]) -> None:
    """Fill ``gradients`` (as ``weights``) from the gradient of the last layer's output (B, C)."""
    for layer in range(len(weights) // 2 - 1, -1, -1):
        np.matmul(values[layer].T, gradient, out=gradients[2 * layer])
        np.sum(gradient, axis=0, out=gradients[2 * layer + 1])
        if layer:
            gradient = gradient @ weights[2 * layer].T
            gradient *= values[layer] > 0


def loss_and_gradient(spec: TrainSpec, out: Array, y: Array) -> tuple[float, Array]:
    """The batch's mean loss, and its gradient in the place of ``out``."""
    rows = len(out)
    if spec.loss == "mean_squared_error":
        out -= y
        loss = float(np.mean(out * out))
        out *= 2 / out.size
        return loss, out
    index = np.arange(rows)
    softmax(out)
    loss = float(-np.log(out[index, y]).mean())
    out[index, y] -= 1
    out *= 1 / rows
    return loss, out


class Optimizer:
    """One flat update of all weights; the formulas are Keras's."""

    def __init__(self, spec: TrainSpec, flat: Array) -> None:
        self.spec, self.w, self.step = spec, flat, 0
        self.m, self.v, self.work = (np.zeros_like(flat) for _ in range(3))

    def update(self, g: Array) -> None:
        """``w`` after the gradient ``g``."""
        getattr(self, self.spec.optimizer)(g)

    def sgd(self, g: Array) -> None:
        """w -= lr g"""
        self.w -= np.multiply(g, self.spec.learning_rate, out=self.work)

    def rmsprop(self, g: Array) -> None:
        """v = rho v + (1 - rho) g^2;  w -= lr g / sqrt(v + epsilon)"""
        work, v = self.work, self.v
        np.multiply(g, g, out=work)
        work -= v
        work *= 1 - RMSPROP["rho"]
        v += work
        np.add(v, RMSPROP["epsilon"], out=work)
        np.sqrt(work, out=work)
        np.divide(g, work, out=work)
        work *= self.spec.learning_rate
        self.w -= work

    def adam(self, g: Array) -> None:
        """m += (1 - beta_1)(g - m);  v += (1 - beta_2)(g^2 - v);  w -= rate m / (sqrt(v) + epsilon)"""
        work, m, v = self.work, self.m, self.v
        self.step += 1
        rate = self.spec.learning_rate * (1 - ADAM["beta_2"] ** self.step) ** 0.5 / (1 - ADAM["beta_1"] ** self.step)
        np.subtract(g, m, out=work)
        work *= 1 - ADAM["beta_1"]
        m += work
        np.multiply(g, g, out=work)
        work -= v
        work *= 1 - ADAM["beta_2"]
        v += work
        np.sqrt(v, out=work)
        work += ADAM["epsilon"]
        np.divide(m, work, out=work)
        work *= rate
        self.w -= work


def views(flat: Array, like: list[Array]) -> list[Array]:
    """``flat`` cut into arrays of the shapes of ``like``."""
    ends = np.cumsum([array.size for array in like])
    return [flat[end - array.size : end].reshape(array.shape) for end, array in zip(ends, like, strict=True)]


def train(spec: TrainSpec, data: Data, threads: int) -> Task:
    """Minibatches in the order of ``data["orders"]``; products by NumPy's BLAS."""
    x, y = data["x"], data["y"]
    flat = np.concatenate([array.ravel() for array in data["weights"]])
    start, flat_gradients = flat.copy(), np.empty_like(flat)
    weights, gradients = views(flat, data["weights"]), views(flat_gradients, data["weights"])
    optimizer = Optimizer(spec, flat)

    def reset() -> None:
        nonlocal optimizer
        flat[:] = start
        optimizer = Optimizer(spec, flat)

    def epoch(order: Array) -> float:
        total = 0.0
        for begin in range(0, spec.samples, spec.batch):
            rows = order[begin : begin + spec.batch]
            values = forward(weights, x[rows])
            loss, gradient = loss_and_gradient(spec, values[-1], y[rows])
            total += loss * len(rows)
            backward(weights, values, gradient, gradients)
            optimizer.update(flat_gradients)
        return total / spec.samples

    def run() -> float:
        return [epoch(order) for order in data["orders"]][-1]

    return Task(run, reset)


def infer(spec: InferSpec, data: Data, threads: int) -> Task | None:
    """The forward pass; NumPy has no other route than the prepared one."""
    if spec.route != "prepared":
        return None
    weights, x = data["weights"], data["x"]
    return Task(lambda: softmax(forward(weights, x)[-1]))
