"""Everything that kernels need beyond Numba's language: arrays over addresses, what a warp shares, inline PTX.

`ptx_simulated` has the same names in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import cuda
from numba.cuda import cgutils, types
from numba.cuda.extending import intrinsic
from numba.cuda.np.arrayobj import populate_array

THREADS = 256
"""Threads of a block."""

WARP = 32
WHOLE_WARP = 0xFFFFFFFF

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
F32, F64, VOID = ir.FloatType(), ir.DoubleType(), ir.VoidType()

GLOBAL, SHARED = 1, 3
"""LLVM's numbers of the address spaces."""


def device_function(function: Callable[..., Any]) -> Any:
    """Inlined into its callers: only then does LLVM know that an address is of global memory."""
    return cuda.jit(device=True, forceinline=True)(function)


@device_function
def thread():
    return types.uint32(cuda.threadIdx.x)


@device_function
def block():
    return types.uint32(cuda.blockIdx.x)


@device_function
def blocks():
    return types.uint32(cuda.gridDim.x)


@device_function
def sync():
    cuda.syncthreads()


@device_function
def sync_warp():
    cuda.syncwarp()


@device_function
def shuffle_xor(value, mask):
    """The value of the lane whose number differs in the bits of ``mask``."""
    return cuda.shfl_xor_sync(WHOLE_WARP, value, mask)


@device_function
def shuffle(value, lane):
    """The value of ``lane``."""
    return cuda.shfl_sync(WHOLE_WARP, value, lane)


def _array_at(context: Any, builder: Any, array_type: Any, data: Any, dims: list[Any]) -> Any:
    """A C-contiguous array over ``data``."""
    array = context.make_array(array_type)(context, builder)
    item_bytes = I64(context.get_abi_sizeof(context.get_data_type(array_type.dtype)))
    strides = [item_bytes]
    for size in reversed(dims[1:]):
        strides.insert(0, builder.mul(strides[0], size))
    populate_array(array, data=data, shape=dims, strides=strides, itemsize=item_bytes, meminfo=None)
    return array._getvalue()


def _array_maker(dtype: Any) -> Any:
    @intrinsic
    def array_at(typingctx: Any, address: Any, shape: Any) -> Any:
        array_type = types.Array(dtype, len(shape), "C")

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            item = context.get_data_type(dtype)
            pointer = builder.inttoptr(args[0], ir.PointerType(item, GLOBAL))
            data = builder.addrspacecast(pointer, item.as_pointer())
            return _array_at(context, builder, array_type, data, cgutils.unpack_tuple(builder, args[1], len(shape)))

        return array_type(types.uint64, shape), codegen

    return array_at


array_float32 = _array_maker(types.float32)
array_float64 = _array_maker(types.float64)
array_int32 = _array_maker(types.int32)
array_int64 = _array_maker(types.int64)
array_uint8 = _array_maker(types.uint8)


def _loader(numba_type: Any, ir_type: Any) -> Any:
    @intrinsic
    def load_word(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(builder.inttoptr(args[0], ir.PointerType(ir_type, GLOBAL)))

        return numba_type(types.uint64), codegen

    return load_word


load_int = _loader(types.int64, I64)
load_float = _loader(types.float64, F64)


def _scalar(numba_type: Any) -> Any:
    """The type that a dtype in a kernel, ``np.float32`` or ``x.dtype.type``, stands for."""
    return getattr(numba_type, "dtype", None) or numba_type.instance_type


@intrinsic
def shared_array(typingctx: Any, dtype: Any, count: Any) -> Any:
    """A vector of ``count`` elements that the threads of a block share; ``count`` is a constant."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    scalar, size = _scalar(dtype), count.literal_value
    array_type = types.Array(scalar, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        item = context.get_data_type(scalar)
        name = builder.module.get_unique_name("shared")
        memory = cgutils.add_global_variable(builder.module, ir.ArrayType(item, size), name, SHARED)
        memory.linkage, memory.align = "internal", 16
        memory.initializer = ir.Constant(memory.type.pointee, ir.Undefined)
        first = builder.bitcast(memory, ir.PointerType(item, SHARED))
        data = builder.addrspacecast(first, item.as_pointer())
        return _array_at(context, builder, array_type, data, [I64(size)])

    return array_type(dtype, count), codegen


shared_array.prefer_literal = True


@intrinsic
def dtype_of(typingctx: Any, value: Any) -> Any:
    """The type of a number, for `shared_array`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_dummy_value()

    return types.NumberClass(value)(value), codegen


@device_function
def unsigned(value):
    """Indices are unsigned: Numba looks for negative ones in a way that costs instructions."""
    return types.uint64(value)
