"""The elementary functions: accuracy over their whole range, special values, both dtypes."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from fastnn_kernels.cpu import floats, vector_math
from fastnn_kernels.cpu.options import kernel
from numpy.typing import NDArray

EXACT = {
    "exp": np.exp,
    "exp_below_0": np.exp,
    "log": np.log,
    "log1p": np.log1p,
    "sigmoid": lambda x: np.where(x >= 0, 1.0, np.exp(-abs(x))) / (1.0 + np.exp(-abs(x))),
    "tanh": np.tanh,
    "erf": np.vectorize(math.erf),
}

RANGES = {
    "exp": (-87.3, 88.7),
    "exp_below_0": (-87.3, 0.0),
    "log": (1e-37, 100.0),
    "log1p": (0.0, 1.0),
    "sigmoid": (-87.0, 87.0),
    "tanh": (-12.0, 12.0),
    "erf": (-5.0, 5.0),
}

BIG = np.float32(3e38)

SPECIAL = {
    "exp": ((0.0, 1.0), (-0.0, 1.0), (np.inf, np.inf), (-np.inf, 0.0), (88.73, np.inf), (-88.0, 0.0), (BIG, np.inf), (-BIG, 0.0)),
    "exp_below_0": ((0.0, 1.0), (-0.0, 1.0), (-np.inf, 0.0), (-88.0, 0.0), (-BIG, 0.0)),
    "log": ((1.0, 0.0), (0.0, -np.inf), (-0.0, -np.inf), (np.inf, np.inf), (-1.0, np.nan), (-np.inf, np.nan), (-1e-40, np.nan)),
    "log1p": ((0.0, 0.0), (1.0, np.log(2.0)), (1e-30, 1e-30)),
    "sigmoid": ((0.0, 0.5), (-0.0, 0.5), (np.inf, 1.0), (-np.inf, 0.0), (BIG, 1.0), (-BIG, 0.0), (-100.0, 0.0)),
    "tanh": ((0.0, 0.0), (-0.0, 0.0), (np.inf, 1.0), (-np.inf, -1.0), (BIG, 1.0), (-BIG, -1.0), (1e-30, 1e-30), (-1e-30, -1e-30)),
    "erf": ((0.0, 0.0), (-0.0, 0.0), (np.inf, 1.0), (-np.inf, -1.0), (BIG, 1.0), (-BIG, -1.0), (1.0, math.erf(1.0))),
}


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
    out = np.full_like(x, np.nan)
    elementwise(name)(x, out)
    return out


def inputs(name: str) -> NDArray[np.float64]:
    """Evenly spread over the function's range, and crowded around 0 and 1."""
    low, high = RANGES[name]
    rng = np.random.default_rng(0)
    crowded = np.concatenate([10.0 ** rng.uniform(-30, 0, 20_000), 1.0 + rng.uniform(-0.5, 0.5, 20_000)])
    crowded = np.concatenate([crowded, -crowded])
    return np.concatenate([rng.uniform(low, high, 200_003), crowded[(low <= crowded) & (crowded <= high)]])


@pytest.mark.parametrize("name", EXACT)
def test_float32_is_within_its_error(name: str) -> None:
    x = inputs(name).astype(np.float32)
    wanted = EXACT[name](x.astype(np.float64))
    error = np.abs(of(name, x) - wanted)
    assert (error <= vector_math.LARGEST_ERROR[name] * np.finfo(np.float32).eps * np.abs(wanted) + np.finfo(np.float32).tiny).all()


@pytest.mark.parametrize("name", EXACT)
def test_float64_is_exact_to_rounding(name: str) -> None:
    x = inputs(name)
    np.testing.assert_allclose(of(name, x), EXACT[name](x), rtol=1e-15, atol=0.0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_not_a_number_stays(name: str, dtype: str) -> None:
    x = np.linspace(0.1, 0.9, 37, dtype=dtype)
    x[5::7] = np.nan
    np.testing.assert_array_equal(np.isnan(of(name, x)), np.isnan(x))


@pytest.mark.parametrize(("name", "x", "wanted"), [(name, *pair) for name, pairs in SPECIAL.items() for pair in pairs])
def test_special_values_in_float32(name: str, x: float, wanted: float) -> None:
    """Alone and in the middle of a vector: scalar and vector code agree."""
    vector = np.full(35, x, np.float32)
    results = np.append(of(name, vector), of(name, vector[:1]))
    np.testing.assert_allclose(results, np.full(36, wanted, np.float32), rtol=2e-7, atol=0.0)


@pytest.mark.parametrize("tiny", [0.0, 1e-45, 1e-40, 1.1754944e-38, 1e-30, 2.0**-25])
def test_tanh_of_what_is_tiny_is_the_same_number(tiny: float) -> None:
    x = np.array([tiny, -tiny] * 20, np.float32)
    np.testing.assert_array_equal(of("tanh", x).view(np.uint32), x.view(np.uint32))


@pytest.mark.parametrize("large", [9.1, 10.0, 10.000001, 88.0, 1e30, np.inf])
def test_tanh_of_what_is_large_is_one(large: float) -> None:
    np.testing.assert_array_equal(of("tanh", np.array([large, -large] * 20, np.float32)), [1.0, -1.0] * 20)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_maximum_propagates_not_a_number(dtype: type) -> None:
    @kernel
    def largest(x):
        result = x[0]
        for i in range(1, x.size):
            result = floats.maximum(result, x[i])
        return result

    x = np.random.default_rng(0).normal(size=4097).astype(dtype)
    assert largest(x) == x.max()
    for place in (0, 1, 31, 4096):
        poisoned = x.copy()
        poisoned[place] = np.nan
        assert np.isnan(largest(poisoned))
    assert largest(np.full(40, -np.inf, dtype)) == -np.inf


@pytest.mark.parametrize("name", EXACT)
def test_python_twin(name: str) -> None:
    """The functions can be called from Python too, and mean the same."""
    assert getattr(vector_math, name)(0.75) == pytest.approx(float(EXACT[name](np.float64(0.75))), rel=1e-15)


def test_python_sigmoid_does_not_overflow() -> None:
    assert vector_math.sigmoid(-1000.0) == 0.0
    assert vector_math.sigmoid(1000.0) == 1.0
