"""Elementary functions: float32 by polynomials that LLVM vectorises, float64 by the C library.

The polynomial of log is Cephes's (Moshier, netlib.org/cephes, ``single/``), the others are fits. Steps in which the
rounding matters are `multiply_add`, which LLVM never reorders; the fast-math flags of the kernels would otherwise undo them.
Largest relative errors in float32, over all of its values: see `LARGEST_ERROR`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types

from fastnn_kernels.cpu.dispatcher import Kernel
from fastnn_kernels.cpu.floats import bits_of, float_of, multiply_add, select, with_sign
from fastnn_kernels.cpu.options import by_type, kernel, ordered_kernel

f4 = np.float32

INFINITY, NAN = f4(np.inf), f4(np.nan)
ZERO, HALF, ONE, TWO = f4(0.0), f4(0.5), f4(1.0), f4(2.0)

LOG2_E = f4(1.44269504088896341)
LN2_HIGH, LN2_LOW = f4(0.693359375), f4(-2.12194440e-4)
SHIFT = f4(1.5 * 2.0**23 + 127.0)
"""A small number plus this one: a float whose lowest bits are the nearest whole number plus the bias of an exponent."""

MANTISSA = np.int32(23)


@ordered_kernel
def shift(x):
    """n + `SHIFT`, n the whole number nearest to x. LLVM must neither merge this sum with one before nor undo it by one after."""
    return x + SHIFT


@ordered_kernel
def unshifted(shifted):
    """n of ``shifted``, which is n + `SHIFT`."""
    return shifted - SHIFT


@kernel
def power_of_two(shifted):
    """2**n of ``shifted``; n from -126 to 127; of -127 it is 0, of 128 inf."""
    return float_of(np.int32(bits_of(shifted) << MANTISSA))


EXP_LOW, EXP_HIGH = f4(-88.02), f4(88.9)
EXP_1, EXP_2, EXP_3 = f4(1.9120505e-3), f4(7.8692883e-3), f4(4.1854367e-2)
EXP_4, EXP_5 = f4(1.6663210e-1), f4(5.0000226e-1)


def exp_float32(x):
    """exp(x) = 2**n * exp(r), n the floor of x / ln(2): so 2**n is 0 where exp(x) is subnormal, and inf where exp(x) is.

    The polynomial, exp(r) for 0 <= r <= ln(2), is a minimax fit, exact to 0.03 eps.
    """
    t = select(x < EXP_LOW, EXP_LOW, x)
    t = select(t > EXP_HIGH, EXP_HIGH, t)
    shifted = shift(multiply_add(t, LOG2_E, -HALF))
    n = unshifted(shifted)
    r = multiply_add(n, -LN2_LOW, multiply_add(n, -LN2_HIGH, t))
    p = multiply_add(multiply_add(EXP_1, r, EXP_2), r, EXP_3)
    p = multiply_add(multiply_add(multiply_add(p, r, EXP_4), r, EXP_5), r, ONE)
    return power_of_two(shifted) * multiply_add(p, r, ONE)


EXP_NEGATIVE_1, EXP_NEGATIVE_2, EXP_NEGATIVE_3 = f4(1.3814560e-3), f4(8.3687352e-3), f4(4.1668389e-2)
EXP_NEGATIVE_4, EXP_NEGATIVE_5 = f4(1.6666521e-1), f4(4.9999994e-1)


def exp_below_0_float32(x):
    """As `exp_float32`, in two operations fewer: n is the whole number nearest to x / ln(2), and no x is too large.

    The polynomial, exp(r) for |r| <= ln(2) / 2, is a minimax fit, exact to 0.03 eps.
    """
    t = select(x < EXP_LOW, EXP_LOW, x)
    shifted = multiply_add(t, LOG2_E, SHIFT)
    n = unshifted(shifted)
    r = multiply_add(n, -LN2_LOW, multiply_add(n, -LN2_HIGH, t))
    p = multiply_add(multiply_add(EXP_NEGATIVE_1, r, EXP_NEGATIVE_2), r, EXP_NEGATIVE_3)
    p = multiply_add(multiply_add(multiply_add(p, r, EXP_NEGATIVE_4), r, EXP_NEGATIVE_5), r, ONE)
    return power_of_two(shifted) * multiply_add(p, r, ONE)


SMALLEST_NORMAL, RESCALE = f4(1.17549435e-38), f4(8388608.0)
RESCALE_EXPONENT, NO_RESCALE = np.int32(23), np.int32(0)
SQRT_HALF_BITS, SIGN_AND_EXPONENT = np.int32(0x3F3504F3), np.int32(-0x800000)
LOG_1, LOG_2, LOG_3 = f4(7.0376836292e-2), f4(-1.1514610310e-1), f4(1.1676998740e-1)
LOG_4, LOG_5, LOG_6 = f4(-1.2420140846e-1), f4(1.4249322787e-1), f4(-1.6668057665e-1)
LOG_7, LOG_8, LOG_9 = f4(2.0000714765e-1), f4(-2.4999993993e-1), f4(3.3333331174e-1)


def log_float32(x):
    """log(x) = n * ln(2) + log(m) with x = 2**n * m and sqrt(1/2) <= m < sqrt(2)."""
    tiny = x < SMALLEST_NORMAL
    bits = bits_of(select(tiny, x * RESCALE, x))
    exponent = np.int32(np.int32(bits - SQRT_HALF_BITS) & SIGN_AND_EXPONENT)
    n = f4(np.int32(np.int32(exponent >> MANTISSA) - select(tiny, RESCALE_EXPONENT, NO_RESCALE)))
    m = float_of(np.int32(bits - exponent)) - ONE
    z = m * m
    p = multiply_add(multiply_add(multiply_add(LOG_1, m, LOG_2), m, LOG_3), m, LOG_4)
    p = multiply_add(multiply_add(multiply_add(p, m, LOG_5), m, LOG_6), m, LOG_7)
    p = multiply_add(multiply_add(p, m, LOG_8), m, LOG_9)
    y = multiply_add(n, LN2_LOW, multiply_add(m * z, p, -HALF * z))
    y = multiply_add(n, LN2_HIGH, m + y)
    y = select(x < INFINITY, y, x)
    y = select(x > ZERO, y, -INFINITY)
    return select(x >= ZERO, y, NAN)


LOG1P_1, LOG1P_2, LOG1P_3 = f4(2.3239062e-1), f4(2.1703320e-1), f4(2.8592582e-1)
LOG1P_4, LOG1P_5 = f4(3.9999701e-1), f4(6.6666667e-1)


def log1p_float32(x):
    """log(1 + x) = 2 * atanh(s) with s = x / (2 + x) <= 1/3; the coefficients are a least-squares fit, exact to 4e-10."""
    s = x / (TWO + x)
    z = s * s
    p = multiply_add(multiply_add(LOG1P_1, z, LOG1P_2), z, LOG1P_3)
    p = multiply_add(multiply_add(p, z, LOG1P_4), z, LOG1P_5)
    return multiply_add(s * z, p, TWO * s)


LN2 = f4(0.693147180559945309)
EXPM1_1, EXPM1_2, EXPM1_3 = f4(1.37627451e-3), f4(8.36565439e-3), f4(4.166805e-2)
EXPM1_4, EXPM1_5 = f4(1.6666542e-1), f4(5.0e-1)


@kernel
def expm1_near_zero(r):
    """exp(r) - 1 for |r| <= ln(2) / 2: r + r**2 * q(r), a minimax fit, exact to 0.2 eps."""
    q = multiply_add(multiply_add(EXPM1_1, r, EXPM1_2), r, EXPM1_3)
    q = multiply_add(multiply_add(q, r, EXPM1_4), r, EXPM1_5)
    return multiply_add(r * r, q, r)


def sigmoid_float32(x):
    """1 / (1 + exp(-x)), 0 where the exponential is infinite."""
    return ONE / (ONE + exp(-x))


TANH_HIGH = f4(10.0)


def tanh_float32(x):
    """e / (e + 2) with e = exp(2 * |x|) - 1 = 2**n * (exp(r) - 1) + 2**n - 1, so never above 1; x itself where it is tiny.

    ln(2) rounded to a float will do: its error in r grows with n, but what an error of e matters shrinks with 2**n.
    """
    size = abs(x)
    t = select(size > TANH_HIGH, TANH_HIGH, size)
    t = t + t
    shifted = multiply_add(t, LOG2_E, SHIFT)
    r = multiply_add(unshifted(shifted), -LN2, t)
    power = power_of_two(shifted)
    e = multiply_add(power, expm1_near_zero(r), power - ONE)
    return with_sign(e / (e + TWO), x)


def _in_float32(form: Callable[..., Any]) -> Callable[[Callable[..., Any]], Kernel]:
    """A kernel that is ``form`` for float32, and for float64 what it says."""
    return lambda function: by_type(lambda x: form if x == types.float32 else function)(function)


@_in_float32(exp_float32)
def exp(x: float) -> float:
    """e**x."""
    return math.exp(x)


@_in_float32(exp_below_0_float32)
def exp_below_0(x: float) -> float:
    """e**x, for x <= 0."""
    return math.exp(x)


@_in_float32(log_float32)
def log(x: float) -> float:
    """The natural logarithm: -inf at 0, NaN below."""
    return math.log(x)


@_in_float32(log1p_float32)
def log1p(x: float) -> float:
    """log(1 + x), for 0 <= x <= 1."""
    return math.log1p(x)


@_in_float32(sigmoid_float32)
def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""
    e = math.exp(-abs(x))
    return 1.0 / (1.0 + e) if x >= 0.0 else e / (1.0 + e)


@_in_float32(tanh_float32)
def tanh(x: float) -> float:
    """The hyperbolic tangent."""
    return math.tanh(x)


FOUR = f4(4.0)
ERF_1, ERF_2, ERF_3 = f4(7.853858304e-05), f4(-8.010192699e-04), f4(5.188327578e-03)
ERF_4, ERF_5, ERF_6 = f4(-2.685381188e-02), f4(1.128358515e-01), f4(-3.761262582e-01)
ERF_7 = f4(1.283791657e-01)
ERFC_1, ERFC_2, ERFC_3 = f4(-1.863793320e-04), f4(2.947659690e-03), f4(-2.183806960e-02)
ERFC_4, ERFC_5, ERFC_6 = f4(1.031067663e-01), f4(6.381448192e-01), f4(1.127089198e00)
ERFC_7 = f4(3.415209756e-04)


def erf_float32(x):
    """x + x * p(x * x) where |x| < 1, else 1 - exp(-q(|x|)); beyond 4 it is 1. Minimax fits, exact to 0.01 eps."""
    size = abs(x)
    z = x * x
    p = multiply_add(multiply_add(ERF_1, z, ERF_2), z, ERF_3)
    p = multiply_add(multiply_add(multiply_add(p, z, ERF_4), z, ERF_5), z, ERF_6)
    small = multiply_add(multiply_add(p, z, ERF_7), x, x)
    t = select(size > FOUR, FOUR, size)
    q = multiply_add(multiply_add(ERFC_1, t, ERFC_2), t, ERFC_3)
    q = multiply_add(multiply_add(multiply_add(q, t, ERFC_4), t, ERFC_5), t, ERFC_6)
    large = ONE - exp(-multiply_add(q, t, ERFC_7))
    return select(size < ONE, small, with_sign(large, x))


@_in_float32(erf_float32)
def erf(x: float) -> float:
    """The error function: 2 / sqrt(pi) times the integral of exp(-t**2) from 0 to x."""
    return math.erf(x)


LARGEST_ERROR = {"exp": 1.0, "exp_below_0": 0.9, "log": 1.2, "log1p": 1.5, "sigmoid": 1.5, "tanh": 1.5, "erf": 0.9}
"""Bounds of the relative errors in float32, in units of its eps, over all 2**32 values: ``make exhaustive``.

They hold without fused multiply-adds too, where exp is off by 0.92 instead of 0.76. Results below `FLUSHED` may be 0.
"""

FLUSHED = 1.1756e-38
"""Just above the smallest normal number."""
