"""Elementary functions: float32 by polynomials that LLVM vectorises, float64 by the C library.

The float32 polynomials are Cephes's (Moshier, netlib.org/cephes, ``single/``). Steps in which the rounding matters are
`multiply_add`, which LLVM never reorders; the fast-math flags of the kernels would otherwise undo them.
Largest relative errors seen in float32: exp 0.7, log 1.0, log1p 1.4, sigmoid 1.5 and tanh 1.2 times its eps of 1.2e-7.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from fastnn_kernels.cpu.options import OPTIONS

f4 = np.float32

INFINITY, NAN = f4(np.inf), f4(np.nan)
ZERO, HALF, ONE, TWO = f4(0.0), f4(0.5), f4(1.0), f4(2.0)


def _llvm_function(name: str) -> Any:
    """``call(builder, *floats)`` of the LLVM intrinsic ``name``."""

    def call(builder: Any, *args: Any) -> Any:
        number = args[0].type
        suffix = "f32" if isinstance(number, ir.FloatType) else "f64"
        function_type = ir.FunctionType(number, [number] * len(args))
        function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.{suffix}")
        return builder.call(function, args, fastmath=("nsz",) if name == "maximum" else ())

    return call


_multiply_add, _rint, _maximum = _llvm_function("fmuladd"), _llvm_function("rint"), _llvm_function("maximum")


@intrinsic
def multiply_add(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once where the CPU can, never reordered."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _multiply_add(builder, *args)

    return x(x, x, x), codegen


@intrinsic
def round_even(typingctx: Any, x: Any) -> Any:
    """The nearest whole number, as a float; of two the even one."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _rint(builder, *args)

    return x(x), codegen


@intrinsic
def maximum(typingctx: Any, x: Any, y: Any) -> Any:
    """The larger one, NaN if either is. A reduction by it vectorises; one by ``max`` never does."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _maximum(builder, *args)

    return x(x, x), codegen


@intrinsic
def bits_of(typingctx: Any, x: Any) -> Any:
    """The bits of a float32 as an int32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), codegen


@intrinsic
def float_of(typingctx: Any, bits: Any) -> Any:
    """The float32 with these bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), codegen


def exp(x: float) -> float:
    """e**x."""
    return math.exp(x)


def log(x: float) -> float:
    """The natural logarithm: -inf at 0, NaN below."""
    return math.log(x)


def log1p(x: float) -> float:
    """log(1 + x), for 0 <= x <= 1."""
    return math.log1p(x)


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""
    e = math.exp(-abs(x))
    return 1.0 / (1.0 + e) if x >= 0.0 else e / (1.0 + e)


def tanh(x: float) -> float:
    """The hyperbolic tangent."""
    return math.tanh(x)


LOG2_E = f4(1.44269504088896341)
LN2_HIGH, LN2_LOW = f4(0.693359375), f4(-2.12194440e-4)
EXP_LOW, EXP_HIGH = f4(-87.3365), f4(88.72283)
EXP_1, EXP_2, EXP_3 = f4(1.9875691500e-4), f4(1.3981999507e-3), f4(8.3334519073e-3)
EXP_4, EXP_5, EXP_6 = f4(4.1665795894e-2), f4(1.6666665459e-1), f4(5.0000001201e-1)
MANTISSA = np.int32(23)


def exp_float32(x):
    """exp(x) = 2**n * exp(x - n * ln(2)); 0 where it would be subnormal."""
    t = x if x > EXP_LOW else EXP_LOW
    t = t if t < EXP_HIGH else EXP_HIGH
    n = round_even(t * LOG2_E)
    r = multiply_add(n, -LN2_LOW, multiply_add(n, -LN2_HIGH, t))
    p = multiply_add(multiply_add(EXP_1, r, EXP_2), r, EXP_3)
    p = multiply_add(multiply_add(multiply_add(p, r, EXP_4), r, EXP_5), r, EXP_6)
    y = multiply_add(r * r, p, r) + ONE
    y = float_of(np.int32(bits_of(y) + (np.int32(n) << MANTISSA)))
    y = y if x <= EXP_HIGH else x + INFINITY
    return ZERO if x < EXP_LOW else y


SMALLEST_NORMAL, RESCALE = f4(1.17549435e-38), f4(8388608.0)
RESCALE_EXPONENT, NO_RESCALE = np.int32(23), np.int32(0)
SQRT_HALF_BITS, SIGN_AND_EXPONENT = np.int32(0x3F3504F3), np.int32(-0x800000)
LOG_1, LOG_2, LOG_3 = f4(7.0376836292e-2), f4(-1.1514610310e-1), f4(1.1676998740e-1)
LOG_4, LOG_5, LOG_6 = f4(-1.2420140846e-1), f4(1.4249322787e-1), f4(-1.6668057665e-1)
LOG_7, LOG_8, LOG_9 = f4(2.0000714765e-1), f4(-2.4999993993e-1), f4(3.3333331174e-1)


def log_float32(x):
    """log(x) = n * ln(2) + log(m) with x = 2**n * m and sqrt(1/2) <= m < sqrt(2)."""
    tiny = x < SMALLEST_NORMAL
    bits = bits_of(x * RESCALE if tiny else x)
    exponent = np.int32(np.int32(bits - SQRT_HALF_BITS) & SIGN_AND_EXPONENT)
    n = f4(np.int32(np.int32(exponent >> MANTISSA) - (RESCALE_EXPONENT if tiny else NO_RESCALE)))
    m = float_of(np.int32(bits - exponent)) - ONE
    z = m * m
    p = multiply_add(multiply_add(multiply_add(LOG_1, m, LOG_2), m, LOG_3), m, LOG_4)
    p = multiply_add(multiply_add(multiply_add(p, m, LOG_5), m, LOG_6), m, LOG_7)
    p = multiply_add(multiply_add(p, m, LOG_8), m, LOG_9)
    y = multiply_add(n, LN2_LOW, multiply_add(m * z, p, -HALF * z))
    y = multiply_add(n, LN2_HIGH, m + y)
    y = y if x < INFINITY else x
    y = y if x > ZERO else -INFINITY
    return y if x >= ZERO else NAN


LOG1P_1, LOG1P_2, LOG1P_3 = f4(2.3239062e-1), f4(2.1703320e-1), f4(2.8592582e-1)
LOG1P_4, LOG1P_5 = f4(3.9999701e-1), f4(6.6666667e-1)


def log1p_float32(x):
    """log(1 + x) = 2 * atanh(s) with s = x / (2 + x) <= 1/3; the coefficients are a least-squares fit, exact to 4e-10."""
    s = x / (TWO + x)
    z = s * s
    p = multiply_add(multiply_add(LOG1P_1, z, LOG1P_2), z, LOG1P_3)
    p = multiply_add(multiply_add(p, z, LOG1P_4), z, LOG1P_5)
    return multiply_add(s * z, p, TWO * s)


def sigmoid_float32(x):
    """With an exponential that never overflows."""
    e = exp(-abs(x))
    return (ONE if x >= ZERO else e) / (ONE + e)


TANH_SMALL = f4(0.625)
TANH_1, TANH_2, TANH_3 = f4(-5.70498872745e-3), f4(2.06390887954e-2), f4(-5.37397155531e-2)
TANH_4, TANH_5 = f4(1.33314422036e-1), f4(-3.33332819422e-1)


def tanh_float32(x):
    """A polynomial where |x| < 0.625, else 1 - 2 / (exp(2 * |x|) + 1)."""
    size = abs(x)
    z = x * x
    p = multiply_add(multiply_add(TANH_1, z, TANH_2), z, TANH_3)
    p = multiply_add(multiply_add(p, z, TANH_4), z, TANH_5)
    small = multiply_add(z * x, p, x)
    large = ONE - TWO / (exp(TWO * size) + ONE)
    return small if size < TANH_SMALL else (large if x >= ZERO else -large)


def _by_dtype(function: Any, in_float32: Any) -> None:
    """Let kernels call ``function``: on float32 it is ``in_float32``, on float64 what it says."""

    @overload(function, jit_options=OPTIONS, strict=False)
    def choose(x: Any) -> Any:
        return in_float32 if x == types.float32 else function


_by_dtype(exp, exp_float32)
_by_dtype(log, log_float32)
_by_dtype(log1p, log1p_float32)
_by_dtype(sigmoid, sigmoid_float32)
_by_dtype(tanh, tanh_float32)
