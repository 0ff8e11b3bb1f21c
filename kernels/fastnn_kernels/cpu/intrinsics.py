"""What Numba's language lacks: raw memory, arrays over it, indirect calls, atomics and the floating-point control register."""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

I32, I64, F64 = ir.IntType(32), ir.IntType(64), ir.DoubleType()

MACHINE = platform.machine().lower()
X86 = MACHINE in ("x86_64", "amd64")
ARM64 = MACHINE in ("aarch64", "arm64")

FLUSH = 0x8040 if X86 else 1 << 24
"""x86 MXCSR: FTZ (bit 15) and DAZ (bit 6). ARM FPCR: FZ (bit 24)."""


def _loader(numba_type: Any, ir_type: Any) -> Any:
    @intrinsic
    def load_word(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(builder.inttoptr(args[0], ir_type.as_pointer()))

        return numba_type(types.int64), codegen

    return load_word


load_int = _loader(types.int64, I64)
load_float = _loader(types.float64, F64)


@intrinsic
def store_int(typingctx: Any, address: Any, value: Any) -> Any:
    """``*address = value``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], builder.inttoptr(args[0], I64.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), codegen


def _array_maker(dtype: Any) -> Any:
    @intrinsic
    def array_at(typingctx: Any, address: Any, shape: Any) -> Any:
        array_type = types.Array(dtype, len(shape), "C")

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            array = context.make_array(array_type)(context, builder)
            item = context.get_data_type(dtype)
            dims = cgutils.unpack_tuple(builder, args[1], len(shape))
            item_bytes = I64(context.get_abi_sizeof(item))
            strides = [item_bytes]
            for size in reversed(dims[1:]):
                strides.insert(0, builder.mul(strides[0], size))
            data = builder.inttoptr(args[0], item.as_pointer())
            populate_array(array, data=data, shape=dims, strides=strides, itemsize=item_bytes, meminfo=None)
            return array._getvalue()

        return array_type(types.int64, shape), codegen

    return array_at


array_float32 = _array_maker(types.float32)
array_float64 = _array_maker(types.float64)
array_int32 = _array_maker(types.int32)
array_int64 = _array_maker(types.int64)
array_uint8 = _array_maker(types.uint8)
array_uint16 = _array_maker(types.uint16)


@intrinsic
def call_row(typingctx: Any, function: Any, row: Any, worker: Any, workers: Any) -> Any:
    """Call the adapter at address ``function``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        adapter = ir.FunctionType(ir.VoidType(), [I64] * 3)
        builder.call(builder.inttoptr(args[0], adapter.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@intrinsic
def call_yield(typingctx: Any, function: Any) -> Any:
    """Call the C function ``int function(void)``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.call(builder.inttoptr(args[0], ir.FunctionType(I32, []).as_pointer()), [])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@intrinsic
def atomic_add(typingctx: Any, address: Any, value: Any) -> Any:
    """``*address += value``, seen by all threads in one order."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", builder.inttoptr(args[0], I64.as_pointer()), args[1], "seq_cst")

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def atomic_load(typingctx: Any, address: Any) -> Any:
    """``*address``, and everything that was written before it."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(builder.inttoptr(args[0], I64.as_pointer()), "acquire", 8)

    return types.int64(types.int64), codegen


def _read_float_state(builder: Any) -> Any:
    if X86:
        place = cgutils.alloca_once(builder, I32)
        store = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, store, "llvm.x86.sse.stmxcsr")
        builder.call(function, [builder.bitcast(place, ir.IntType(8).as_pointer())])
        return builder.zext(builder.load(place), I64)
    if ARM64:
        return builder.asm(ir.FunctionType(I64, []), "mrs $0, fpcr", "=r", [], True)
    return I64(0)


def _write_float_state(builder: Any, state: Any) -> None:
    if X86:
        place = cgutils.alloca_once(builder, I32)
        builder.store(builder.trunc(state, I32), place)
        load = ir.FunctionType(ir.VoidType(), [ir.IntType(8).as_pointer()])
        function = cgutils.get_or_insert_function(builder.module, load, "llvm.x86.sse.ldmxcsr")
        builder.call(function, [builder.bitcast(place, ir.IntType(8).as_pointer())])
    elif ARM64:
        builder.asm(ir.FunctionType(ir.VoidType(), [I64]), "msr fpcr, $0", "r", [state], True)


@intrinsic
def flush_subnormals(typingctx: Any) -> Any:
    """Make this thread treat subnormals as 0; returns its floating-point state as it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        state = _read_float_state(builder)
        _write_float_state(builder, builder.or_(state, I64(FLUSH)))
        return state

    return types.int64(), codegen


@intrinsic
def restore_float_state(typingctx: Any, state: Any) -> Any:
    """Undo `flush_subnormals`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _write_float_state(builder, args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen
