"""Operations on floats that Numba's language lacks, or that its fast-math flags would undo."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _llvm_function(name: str, *flags: str) -> Any:
    """``call(builder, *floats)`` of the LLVM intrinsic ``name``."""

    def call(builder: Any, *args: Any) -> Any:
        number = args[0].type
        suffix = "f32" if isinstance(number, ir.FloatType) else "f64"
        function_type = ir.FunctionType(number, [number] * len(args))
        function = cgutils.get_or_insert_function(builder.module, function_type, f"llvm.{name}.{suffix}")
        return builder.call(function, args, fastmath=flags)

    return call


_multiply_add, _copysign = _llvm_function("fmuladd"), _llvm_function("copysign")
_maximum, _larger = _llvm_function("maximum", "nsz"), _llvm_function("maxnum", "nsz", "nnan")


@intrinsic
def multiply_add(typingctx: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``, rounded once where the CPU can, never reordered."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _multiply_add(builder, *args)

    return x(x, x, x), codegen


@intrinsic
def maximum(typingctx: Any, x: Any, y: Any) -> Any:
    """The larger one, NaN if either is. A reduction by it vectorises; one by ``max`` never does."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _maximum(builder, *args)

    return x(x, x), codegen


@intrinsic
def larger(typingctx: Any, x: Any, y: Any) -> Any:
    """The larger one; anything where one is NaN. A third of the operations of `maximum`, for where NaN shows otherwise."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _larger(builder, *args)

    return x(x, x), codegen


@intrinsic
def with_sign(typingctx: Any, x: Any, y: Any) -> Any:
    """|x| with the sign of y."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _copysign(builder, *args)

    return x(x, x), codegen


@intrinsic
def select(typingctx: Any, condition: Any, x: Any, y: Any) -> Any:
    """``x if condition else y``, both computed: a branch would cost time to compile, and to run where it cannot be foreseen."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return x(types.boolean, x, x), codegen


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


@intrinsic
def widened(typingctx: Any, x: Any) -> Any:
    """The float32 that a bfloat16's bits stand for; a float as it is."""
    if isinstance(x, types.Float):
        return x(x), lambda context, builder, signature, args: args[0]
    return types.float32(x), lambda context, builder, signature, args: widen(builder, args[0])


def widen(builder: Any, bits: Any) -> Any:
    """The float32 numbers, one or a vector, whose upper halves are ``bits``."""
    vector = isinstance(bits.type, ir.VectorType)
    word, number = (ir.VectorType(kind, bits.type.count) if vector else kind for kind in (ir.IntType(32), ir.FloatType()))
    places = ir.Constant(word, [16] * bits.type.count if vector else 16)
    return builder.bitcast(builder.shl(builder.zext(bits, word), places), number)
