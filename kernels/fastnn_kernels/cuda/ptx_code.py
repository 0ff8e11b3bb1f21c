"""How intrinsics emit code: LLVM's types, tuples, pointers, pieces of inline PTX. For the ``ptx`` files alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
F32, F64, VOID = ir.FloatType(), ir.DoubleType(), ir.VoidType()

GLOBAL, SHARED = 1, 3
"""LLVM's numbers of the address spaces."""


def element_pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Pointer to element ``index`` of a C-contiguous array, counted through all its axes."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def pack(builder: Any, values: list[Any], item: Any) -> Any:
    """A tuple of values of the type ``item``."""
    packed = ir.Constant(ir.ArrayType(item, len(values)), ir.Undefined)
    for place, value in enumerate(values):
        packed = builder.insert_value(packed, value, place)
    return packed


def unpack(builder: Any, packed: Any, count: int) -> list[Any]:
    """The values of a tuple."""
    return [builder.extract_value(packed, place) for place in range(count)]


def inline(builder: Any, result: Any, text: str, constraints: str, arguments: Sequence[Any], *, effect: bool = True) -> Any:
    """One piece of PTX."""
    function = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(ir.InlineAsm(function, text, constraints, side_effect=effect), arguments)


def shared_address(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Where element ``index`` of an array lies in shared memory."""
    pointer = element_pointer(context, builder, array_type, array, index)
    return builder.ptrtoint(builder.addrspacecast(pointer, ir.PointerType(pointer.type.pointee, SHARED)), I32)
