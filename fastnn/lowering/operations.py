"""Operations a layer composes: each emits its forward row and records its backward rows, one beside the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from fastnn_kernels.instructions import ACTIVATION_LINEAR

from fastnn.config import MATMUL_PRECISIONS, matmul_precision
from fastnn.lowering.builder import CONTROL, SCRATCH_OPERAND, Builder, Tensor
from fastnn.program import BATCH, Operand, Size
from fastnn.variables import Variable


def _product(
    b: Builder,
    left: Operand,
    right: Operand,
    out: Operand,
    *,
    bias: Operand | None = None,
    transpose: tuple[int, int] = (0, 0),
    accumulate: int = 0,
) -> None:
    b.emit(
        "matmul_bfloat16" if left.dtype == "b2" else "matmul",
        a=left,
        b=right,
        bias=bias,
        scratch=SCRATCH_OPERAND,
        out=out,
        transpose_a=transpose[0],
        transpose_b=transpose[1],
        activation=ACTIVATION_LINEAR,
        negative_slope=0.0,
        accumulate=accumulate,
        precision=MATMUL_PRECISIONS.index(matmul_precision()),
    )


def dense(b: Builder, x: Tensor, kernel: Variable, bias: Variable | None = None, *, rounds: bool = False) -> Tensor:
    """``x @ kernel + bias`` over the last axis: x (M, I), kernel (I, O), bias (O,) -> (M, O).

    Backward: ``dbias = sum over rows of dout``, ``dkernel = x.T @ dout``, ``dx = dout @ kernel.T``. ``rounds``: what is multiplied
    is rounded to bfloat16 first, each tensor once.
    """

    def rows(tensor: Tensor) -> Operand:
        return (b.rounded(tensor) if rounds else tensor).matrix

    def weights() -> Operand:
        return b.rounded_weight(kernel) if rounds else b.weight(kernel)

    out = b.tensor((*x.shape[:-1], kernel.shape[1]), trained=x.trained or b.trains(kernel, bias))
    _product(b, rows(x), weights(), out.matrix, bias=None if bias is None else b.weight(bias))

    def backward() -> None:
        dout = b.gradient(out)
        if dout is None:
            return
        if bias is not None:
            dbias, accumulate = b.weight_gradient(bias)
            if dbias is not None:
                b.emit("sum_rows", x=dout.matrix, out=dbias, accumulate=accumulate)
        dkernel, accumulate = b.weight_gradient(kernel)
        if dkernel is not None:
            _product(b, rows(x), rows(dout), dkernel, transpose=(1, 0), accumulate=accumulate)
        dx, accumulate = b.gradient_into(x)
        if dx is not None:
            _product(b, rows(dout), weights(), dx.matrix, transpose=(0, 1), accumulate=accumulate)

    b.record(backward)
    return out


def reshape(b: Builder, x: Tensor, shape: Sequence[int]) -> Tensor:
    """``x`` with one sample's shape changed; the same memory, and the same gradient."""
    if math.prod(shape) != math.prod(x.shape):
        raise ValueError(f"cannot reshape {x.shape} to {tuple(shape)}: {math.prod(x.shape)} values against {math.prod(shape)}")
    return replace(x, shape=tuple(shape))


def relu(b: Builder, x: Tensor, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Tensor:
    """``max_value`` where x >= max_value, x where x > threshold, else ``negative_slope * (x - threshold)``."""
    out = b.tensor(x.shape, trained=x.trained)
    limits: dict[str, Any] = {
        "negative_slope": float(negative_slope),
        "max_value": math.inf if max_value is None else float(max_value),
        "threshold": float(threshold),
    }
    b.emit("relu", x=x.vector, out=out.vector, **limits)
    plain = limits["threshold"] == 0.0 and limits["max_value"] == math.inf and limits["negative_slope"] >= 0.0
    seen = out if plain else x  # out > 0 exactly where x > 0: x need not be kept

    def backward() -> None:
        dout = b.gradient(out)
        dx, accumulate = (None, 0) if dout is None else b.gradient_into(x)
        if dout is not None and dx is not None:
            b.emit("relu_backward", x=seen.vector, dout=dout.vector, dx=dx.vector, accumulate=accumulate, **limits)

    b.record(backward)
    return out


def sigmoid(b: Builder, x: Tensor) -> Tensor:
    """``1 / (1 + exp(-x))``."""
    return _from_output(b, "sigmoid", x)


def tanh(b: Builder, x: Tensor) -> Tensor:
    """The hyperbolic tangent."""
    return _from_output(b, "tanh", x)


def softmax(b: Builder, x: Tensor) -> Tensor:
    """``exp(x) / sum(exp(x))`` over the last axis."""
    return _from_output(b, "softmax", x)


def _from_output(b: Builder, name: str, x: Tensor) -> Tensor:
    """An activation whose gradient needs its output alone."""
    out = b.tensor(x.shape, trained=x.trained)
    b.remember_source(name, x, out)

    def operand(tensor: Tensor) -> Operand:
        return tensor.matrix if name == "softmax" else tensor.vector

    b.emit(name, x=operand(x), out=operand(out))

    def backward() -> None:
        dout = b.gradient(out)
        dx, accumulate = (None, 0) if dout is None else b.gradient_into(x)
        if dout is not None and dx is not None:
            b.emit(f"{name}_backward", out=operand(out), dout=operand(dout), dx=operand(dx), accumulate=accumulate)

    b.record(backward)
    return out


def dropout(b: Builder, x: Tensor, rate: float, seed: int, shared: Sequence[bool] = ()) -> Tensor:
    """``x / (1 - rate)`` or, with a probability of ``rate``, 0; in training alone.

    ``shared`` says of every axis, the batch first, whether one random number serves all along it; by default none does.
    Backward: the same numbers, which are drawn again, decide on ``dout``.
    """
    if not b.drops or not rate:
        return x
    out = b.tensor(x.shape, trained=x.trained)
    attributes: dict[str, Any] = {
        "seed": seed - 2**64 if seed >= 2**63 else seed,
        "call": b.next_dropout(),
        "kept": round((1.0 - rate) * 2**31),
        "scale": 1.0 / (1.0 - rate) if rate < 1.0 else 0.0,
        **sharing((BATCH, *x.shape), shared),
    }
    b.emit("dropout", x=x.vector, control=CONTROL, out=out.vector, accumulate=0, **attributes)

    def backward() -> None:
        dout = b.gradient(out)
        dx, accumulate = (None, 0) if dout is None else b.gradient_into(x)
        if dout is not None and dx is not None:
            b.emit("dropout", x=dout.vector, control=CONTROL, out=dx.vector, accumulate=accumulate, **attributes)

    b.record(backward)
    return out


def sharing(shape: Sequence[Size], shared: Sequence[bool]) -> dict[str, Size]:
    """The attributes of ``dropout`` for an array of ``shape`` whose axes may share their numbers.

    Raises
    ------
    ValueError
        When the axes that share make more than two groups with others between them.
    """
    long = [(size, share) for size, share in zip(shape, shared, strict=bool(shared)) if size != 1]
    groups = [(share, _size([size for size, _ in group])) for share, group in groupby(long, lambda axis: axis[1])]
    if groups and groups[0][0]:
        groups.insert(0, (False, 1))
    if len(groups) % 2 == 0:
        groups.append((False, 1))
    if len(groups) > 5:
        raise ValueError("random numbers can be shared along two groups of neighbouring axes, not more")
    sizes = [size for _, size in groups[1:]]
    return dict(zip(("shared_outer", "middle", "shared_inner", "inner"), [1] * (4 - len(sizes)) + sizes, strict=True))


def _size(sizes: Sequence[Size]) -> Size:
    """The size of axes together; a symbol comes first."""
    return math.prod(sizes[1:], start=sizes[0])
