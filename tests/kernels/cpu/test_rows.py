"""Rows of many columns: parts that overlap or do not fill their lanes, and values that are not finite in one part only."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastnn_kernels.cpu.columns import NARROW
from fastnn_kernels.cpu.execute import execute
from fastnn_kernels.cpu.rows import MOST_PARTS, PART
from fastnn_kernels.instructions import INSTRUCTIONS, NO_CLASS
from fastnn_kernels.reference.kernels import KERNELS
from numpy.typing import NDArray

WIDTHS = (NARROW, NARROW + 1, 63, 64, 65, PART, PART + 1, 2 * PART + 33, 5 * PART - 1, MOST_PARTS * PART + 7)
OPS = ("softmax", "log_softmax", "softmax_cross_entropy", "softmax_cross_entropy_dense")
ATTRIBUTES: dict[str, dict[str, float]] = {
    "softmax_cross_entropy": {"ignore_class": NO_CLASS, "accumulate": 0},
    "softmax_cross_entropy_dense": {"label_smoothing": 0.1, "accumulate": 0},
}


def results(op: str, logits: NDArray, *, reference: bool = False, accumulate: int = 0, workers: int = 1) -> list[NDArray]:
    """What ``op`` makes of the logits; labels and targets are the same for the same shape."""
    rows, columns = logits.shape
    dtype = np.dtype(np.float64) if reference else logits.dtype
    rng = np.random.default_rng(columns)
    out, loss = np.full(logits.shape, 0.5, dtype), np.zeros(rows, dtype)
    truth: dict[str, Any] = {
        "softmax_cross_entropy": rng.integers(0, columns, rows).astype(np.int32),
        "softmax_cross_entropy_dense": rng.dirichlet(np.ones(columns), rows).astype(logits.dtype).astype(dtype),
    }
    inputs: list[Any] = [logits.astype(dtype), out]
    if op in truth:
        inputs = [logits.astype(dtype), truth[op], None, None, loss, out]
    attributes = {**ATTRIBUTES.get(op, {}), **({"accumulate": accumulate} if op in truth else {})}
    if reference:
        with np.errstate(all="ignore"):
            KERNELS[op](*inputs, *attributes.values())
    else:
        names = [spec.name for spec in INSTRUCTIONS[op].operands]
        execute(op, dict(zip(names, inputs, strict=True)), attributes, dtype=dtype.name, workers=workers)
    return [out, loss]


def check(op: str, logits: NDArray, accumulate: int = 0) -> None:
    eps = np.finfo(logits.dtype).eps
    wanted = results(op, logits, reference=True, accumulate=accumulate)
    for actual, exact in zip(results(op, logits, accumulate=accumulate), wanted, strict=True):
        np.testing.assert_allclose(actual, exact, rtol=64 * eps, atol=16 * eps)


def normal(columns: int, dtype: str = "float32", rows: int = 3) -> NDArray:
    return np.random.default_rng(columns).normal(scale=3.0, size=(rows, columns)).astype(dtype)


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("op", OPS)
def test_any_number_of_columns(op: str, columns: int) -> None:
    check(op, normal(columns))


@pytest.mark.parametrize("op", OPS)
def test_parts_in_float64(op: str) -> None:
    check(op, normal(2 * PART + 5, "float64"))


@pytest.mark.parametrize("columns", [NARROW, NARROW + 1, 2 * PART + 33])
@pytest.mark.parametrize("op", OPS[2:])
def test_gradients_are_added(op: str, columns: int) -> None:
    check(op, normal(columns), accumulate=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38, -3e38])
@pytest.mark.parametrize("op", OPS[:3])
def test_one_part_that_is_not_like_the_others(op: str, value: float) -> None:
    x = normal(3 * PART, rows=4)
    x[0, 5] = x[1, -1] = value
    x[2, PART : 2 * PART] = value
    x[3] = value
    check(op, x)


@pytest.mark.parametrize("op", OPS[:2])
def test_parts_far_apart(op: str) -> None:
    x = normal(4 * PART)
    x += 1000.0 * np.arange(4 * PART, dtype=np.float32) // PART
    check(op, x)


@pytest.mark.parametrize("op", OPS)
def test_same_bits_for_any_number_of_workers(op: str) -> None:
    x = normal(PART + 100, rows=100)
    for one, three in zip(results(op, x), results(op, x, workers=3), strict=True):
        np.testing.assert_array_equal(one, three)
