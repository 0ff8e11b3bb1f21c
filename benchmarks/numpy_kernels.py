"""The kernels in NumPy by hand: ufuncs that write in place, as a careful program does. A maker returns the call that is timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.numpy_losses import LOSSES, sigmoid_into
from fastnn.bench.kernel_data import ADAM, LEARNING_RATE, RMSPROP
from fastnn.bench.specs import Data
from fastnn.bench.with_numpy import softmax

Call = Callable[[], Any]
Array = NDArray[Any]


def matmul(d: Data, transpose_a: bool, transpose_b: bool) -> Call:
    """out = a @ b"""
    a, b = d["a"].T if transpose_a else d["a"], d["b"].T if transpose_b else d["b"]
    return lambda: np.matmul(a, b, out=d["out"])


def relu_backward(d: Data) -> Call:
    """dout where x > 0"""
    positive = np.empty(d["x"].shape, bool)
    return lambda: np.multiply(d["dout"], np.greater(d["x"], 0, out=positive), out=d["dx"])


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


def dropout(d: Data) -> Call:
    """Half of the values, by NumPy's own generator: others draw other numbers, so nothing is compared."""
    x, out, generator = d["x"], d["out"], np.random.default_rng(0)
    numbers, dropped = np.empty_like(x), np.empty(x.shape, bool)

    def run() -> None:
        generator.random(out=numbers, dtype=np.float32)
        np.less(numbers, 0.5, out=dropped)
        np.multiply(x, 2, out=out)
        np.copyto(out, 0, where=dropped)

    return run


def to_bfloat16(d: Data) -> Call:
    """The upper halves, rounded; of finite numbers."""
    bits, work = d["x"].view(np.uint32), np.empty(d["x"].shape, np.uint32)

    def run() -> Any:
        np.right_shift(bits, 16, out=work)
        np.bitwise_and(work, 1, out=work)
        np.add(work, bits, out=work)
        np.add(work, 0x7FFF, out=work)
        np.right_shift(work, 16, out=work)
        np.copyto(d["out"], work, casting="unsafe")
        return d["out"]

    return run


KERNELS: dict[str, Callable[[Data], Call]] = {
    "shuffle": shuffle,
    "take_rows": lambda d: lambda: np.take(d["data"], d["index"], axis=0, out=d["out"]),
    "put_rows": lambda d: lambda: np.copyto(d["data"], d["x"]) or d["data"],  # type: ignore[func-returns-value]
    "to_bfloat16": to_bfloat16,
    "sum_rows": lambda d: lambda: np.sum(d["x"], axis=0, out=d["out"]),
    "relu": lambda d: lambda: np.maximum(d["x"], 0, out=d["out"]),
    "relu_backward": relu_backward,
    "sigmoid": lambda d: lambda: sigmoid_into(d["x"], d["out"]),
    "sigmoid_backward": sigmoid_backward,
    "tanh": lambda d: lambda: np.tanh(d["x"], out=d["out"]),
    "tanh_backward": tanh_backward,
    "softmax": softmax_forward,
    "softmax_backward": softmax_backward,
    "log_softmax": log_softmax,
    "log_softmax_backward": log_softmax_backward,
    "dropout": dropout,
    **LOSSES,
    "accumulate_mean": accumulate,
    "accumulate_loss": accumulate,
    "sgd": sgd,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adam": adam,
    "copy": lambda d: lambda: np.copyto(d["out"], d["x"]) or d["out"],  # type: ignore[func-returns-value]
}
"""By operation; what is missing is bookkeeping that a program in NumPy does in Python."""
