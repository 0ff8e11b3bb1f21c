"""The elementary functions on every float32, against float64: on a sample in the normal run, on all by ``make exhaustive``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from fastnn_kernels.cpu import vector_math
from fastnn_kernels.cpu.options import kernel
from numpy.typing import NDArray

CHUNK = 1 << 18
"""Values at a time: their float64 images stay in the cache."""

PATTERNS = 1 << 32

FLUSHED = vector_math.FLUSHED
EPS, TINY = float(np.finfo(np.float32).eps), float(np.finfo(np.float32).tiny)

EDGES = (
    0.0,
    1e-45,
    TINY,
    0.5,
    0.70710677,
    1.0,
    1.4142135,
    4.0,
    10.0,
    18.0,
    87.3365,
    88.72283,
    103.97,
    3.4028235e38,
    np.inf,
    np.nan,
)
"""Where a function or its code changes; tested with their negatives and the three values on either side."""


@cache
def elementwise(name: str) -> Any:
    """A kernel that applies the function to a vector."""
    function = getattr(vector_math, name)

    @kernel
    def apply(x, out):
        for i in range(x.size):
            out[i] = function(x[i])

    return apply


def of(name: str, x: NDArray) -> NDArray:
    out = np.empty_like(x)
    elementwise(name)(x, out)
    return out


def sigmoid_of(x: NDArray[np.float64]) -> NDArray[np.float64]:
    e = np.exp(-np.abs(x))
    return np.where(x >= 0.0, 1.0, e) / (1.0 + e)


EXACT: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "exp": np.exp,
    "exp_below_0": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "sigmoid": sigmoid_of,
    "tanh": np.tanh,
    "erf": lambda x: of("erf", x),  # the C library's: NumPy has none
}


def chunks(stride: int) -> Iterator[NDArray[np.float32]]:
    """The edges and their neighbours, then every ``stride``th bit pattern."""
    edges = np.array(EDGES, np.float32).view(np.uint32)[:, None] + np.arange(-3, 4, dtype=np.int64)
    edges = edges[(edges >= 0) & (edges < PATTERNS // 2)].astype(np.uint32)
    yield np.concatenate([edges, edges | np.uint32(PATTERNS // 2)]).view(np.float32)
    for start in range(0, PATTERNS, CHUNK * stride):
        patterns = np.arange(start, min(start + CHUNK * stride, PATTERNS), stride, dtype=np.uint64)
        yield patterns.astype(np.uint32).view(np.float32)


def errors(result: NDArray[np.float32], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative errors in units of eps, infinite where one alone is NaN or infinite; results that may be flushed count as exact."""
    size = np.abs(wanted)
    error = np.abs(result - wanted) / np.maximum(size, TINY) / EPS
    error[(size < FLUSHED) & ((result == 0.0) | (np.abs(result - wanted) <= TINY * EPS))] = 0.0
    same = (result == wanted.astype(np.float32)) | (np.isnan(result) & np.isnan(wanted))
    error[same] = 0.0
    error[np.isnan(error)] = np.inf
    return error


DOMAINS = {"exp_below_0": (-np.inf, 0.0), "log1p": (0.0, 1.0)}
"""Of the functions that are not for all numbers."""


def domain(name: str, values: NDArray) -> NDArray:
    """The values that the function is for."""
    low, high = DOMAINS.get(name, (-np.inf, np.inf))
    return values[~((values < low) | (values > high))]


@pytest.mark.parametrize("name", EXACT)
def test_largest_error(name: str, stride: int) -> None:
    worst, where, count = 0.0, np.float32(0.0), 0
    with np.errstate(all="ignore"):
        for values in chunks(stride):
            x = domain(name, values)
            error = errors(of(name, x), EXACT[name](x.astype(np.float64)))
            count += x.size
            if x.size and error.max() > worst:
                worst, where = error.max(), x[error.argmax()]
    bound = vector_math.LARGEST_ERROR[name]
    print(f"\n{name}: {count:,} values, largest relative error {worst:.3f} eps, at {where!r}; allowed {bound}")
    assert worst <= bound, f"{name}({where!r}) is off by {worst:.3f} eps, allowed is {bound}"
    assert count >= PATTERNS // stride // (5 if name in DOMAINS else 1)


@pytest.mark.parametrize(("name", "bottom"), [("tanh", -1.0), ("sigmoid", 0.0)])
def test_rounding_never_leaves_the_range(name: str, bottom: float, stride: int) -> None:
    """1 - y**2 and y * (1 - y), the gradients, are never negative."""
    for x in chunks(stride):
        y = of(name, x)
        outside = (y < bottom) | (y > 1.0)
        assert not outside.any(), f"{name}({x[outside][0]!r}) is {y[outside][0]!r}"


def test_tanh_is_odd(stride: int) -> None:
    for x in chunks(stride):
        np.testing.assert_array_equal(of("tanh", -x).view(np.uint32), (-of("tanh", x)).view(np.uint32))
