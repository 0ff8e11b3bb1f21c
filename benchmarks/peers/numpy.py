"""NumPy by hand, products by the BLAS it comes with (OpenBLAS on Linux)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers import Peer
from fastnn.bench.specs import ADAM, Data, KernelSpec
from fastnn.bench.timing import Task
from fastnn.bench.with_numpy import infer, softmax, train


def kernel(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """Ufuncs that write in place, as a careful program does; only the BLAS uses more than one thread."""
    make = KERNELS.get(spec.op)
    return None if make is None else Task(make(spec, data))


def matmul(spec: KernelSpec, data: Data) -> Callable[[], Any]:
    """``out = a @ b``"""
    a, b = data["a"].T if spec.transpose_a else data["a"], data["b"].T if spec.transpose_b else data["b"]
    return lambda: np.matmul(a, b, out=data["out"])


def softmax_cross_entropy(spec: KernelSpec, data: Data) -> Callable[[], Any]:
    """Loss and gradient of the mean, in passes over the array."""
    logits, labels, loss, gradient = (data[name] for name in ("logits", "labels", "loss", "dlogits"))
    index, rows = np.arange(spec.shape[0]), spec.shape[0]

    def run() -> Any:
        np.copyto(gradient, logits)
        softmax(gradient)
        np.log(gradient[index, labels], out=loss)
        np.negative(loss, out=loss)
        gradient[index, labels] -= 1
        gradient.__imul__(1 / rows)
        return gradient

    return run


def sigmoid(spec: KernelSpec, data: Data) -> Callable[[], Any]:
    """1 / (1 + exp(-x))"""
    x, out = data["x"], data["out"]

    def run() -> Any:
        np.negative(x, out=out)
        np.exp(out, out=out)
        np.add(out, 1, out=out)
        return np.divide(1, out, out=out)

    return run


def softmax_forward(spec: KernelSpec, data: Data) -> Callable[[], Any]:
    """Over the last axis."""

    def run() -> Any:
        np.copyto(data["out"], data["x"])
        return softmax(data["out"])

    return run


def sigmoid_backward(spec: KernelSpec, data: Data) -> Callable[[], Any]:
    """dout out (1 - out)"""
    out, dout, dx = data["out"], data["dout"], data["dx"]

    def run() -> Any:
        np.subtract(1, out, out=dx)
        np.multiply(dx, out, out=dx)
        return np.multiply(dx, dout, out=dx)

    return run


def tanh_backward(spec: KernelSpec, data: Data) -> Callable[[], Any]:
    """dout (1 - out^2)"""
    out, dout, dx = data["out"], data["dout"], data["dx"]

    def run() -> Any:
        np.multiply(out, out, out=dx)
        np.subtract(1, dx, out=dx)
        return np.multiply(dx, dout, out=dx)

    return run


def softmax_backward(spec: KernelSpec, data: Data) -> Callable[[], Any]:
    """out (dout - sum(out dout))"""
    out, dout, dx = data["out"], data["dout"], data["dx"]

    def run() -> Any:
        dot = np.einsum("mc,mc->m", out, dout)[:, np.newaxis]
        np.subtract(dout, dot, out=dx)
        return np.multiply(dx, out, out=dx)

    return run


def adam(spec: KernelSpec, data: Data) -> Callable[[], Any]:
    """One update at the rate of the first step."""
    g, w, m, v = (data[name] for name in ("grads", "params", "m", "v"))
    work, rate = np.empty_like(g), 1e-3 * float(np.sqrt(1 - ADAM["beta_2"])) / (1 - ADAM["beta_1"])

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


def copy(spec: KernelSpec, data: Data) -> Callable[[], Any]:
    """out = x"""

    def run() -> Any:
        np.copyto(data["out"], data["x"])
        return data["out"]

    return run


KERNELS: dict[str, Callable[[KernelSpec, Data], Callable[[], Any]]] = {
    "matmul": matmul,
    "softmax_cross_entropy": softmax_cross_entropy,
    "relu": lambda spec, data: lambda: np.maximum(data["x"], 0, out=data["out"]),
    "relu_backward": lambda spec, data: lambda: np.multiply(data["dout"], data["x"] > 0, out=data["dx"]),
    "sigmoid": sigmoid,
    "sigmoid_backward": sigmoid_backward,
    "tanh": lambda spec, data: lambda: np.tanh(data["x"], out=data["out"]),
    "tanh_backward": tanh_backward,
    "softmax": softmax_forward,
    "softmax_backward": softmax_backward,
    "adam": adam,
    "copy": copy,
}

PEERS = (
    Peer(
        "numpy",
        "numpy",
        "import numpy",
        missing=lambda: None,
        train=train,
        infer=infer,
        kernel=kernel,
        note="by hand: arrays in place, no framework",
    ),
)
