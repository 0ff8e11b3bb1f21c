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

from fastnn_kernels.cuda import THREADS as THREADS
from fastnn_kernels.cuda.ptx_code import F32, F64, GLOBAL, I8, I32, I64, SHARED, element_pointer, inline, pack, unpack
from fastnn_kernels.cuda.ptx_tensor_cores import copies_commit as copies_commit
from fastnn_kernels.cuda.ptx_tensor_cores import copies_wait as copies_wait
from fastnn_kernels.cuda.ptx_tensor_cores import copy4_async as copy4_async
from fastnn_kernels.cuda.ptx_tensor_cores import copy16_async as copy16_async
from fastnn_kernels.cuda.ptx_tensor_cores import load_matrices as load_matrices
from fastnn_kernels.cuda.ptx_tensor_cores import load_matrices_transposed as load_matrices_transposed
from fastnn_kernels.cuda.ptx_tensor_cores import mma_3xtf32 as mma_3xtf32
from fastnn_kernels.cuda.ptx_tensor_cores import mma_bfloat16 as mma_bfloat16
from fastnn_kernels.cuda.ptx_tensor_cores import mma_tf32 as mma_tf32
from fastnn_kernels.cuda.ptx_tensor_cores import round_tf32 as round_tf32

WARP = 32
WHOLE_WARP = 0xFFFFFFFF

uint16, int32 = types.uint16, types.int32


def device_function(function: Callable[..., Any]) -> Any:
    """Inlined into its callers: only then does LLVM know that an address is of global memory."""
    return cuda.jit(device=True, forceinline=True)(function)


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
array_uint16 = _array_maker(types.uint16)


def _loader(numba_type: Any, ir_type: Any) -> Any:
    @intrinsic
    def load_word(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.load(builder.inttoptr(args[0], ir.PointerType(ir_type, GLOBAL)))

        return numba_type(types.uint64), codegen

    return load_word


load_int = _loader(types.int64, I64)
load_float = _loader(types.float64, F64)


@intrinsic
def load_word(typingctx: Any, address: Any) -> Any:
    """`load_int` that LLVM does not look into: libNVVM 13.0 never ends where a kernel's attribute, such as relu_backward's
    ``accumulate``, is an ordinary load.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return inline(builder, I64, "ld.global.u64 $0, [$1];", "=l,l,~{memory}", args)

    return types.int64(types.uint64), codegen


@intrinsic
def store_int(typingctx: Any, address: Any, value: Any) -> Any:
    """``*address = value``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[1], builder.inttoptr(args[0], ir.PointerType(I64, GLOBAL)))
        return context.get_dummy_value()

    return types.void(types.uint64, types.int64), codegen


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


int32 = types.int32


@intrinsic
def thread(typingctx: Any) -> Any:
    """The thread's number in its block, read anew by every call: otherwise LLVM computes what the interpreter's kernels make of it
    before the first step, and keeps it in registers that sm_75 does not have.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return inline(builder, I32, "mov.u32 $0, %tid.x;", "=r", [])

    return types.uint32(), codegen


@intrinsic
def again(typingctx: Any, value: Any) -> Any:
    """An int32 that LLVM takes for a new one: what follows from it is computed once more, instead of kept in registers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return inline(builder, I32, "mov.u32 $0, $1;", "=r,r", args)

    return types.int32(types.int32), codegen


@intrinsic
def address_of(typingctx: Any, array: Any) -> Any:
    """Where an array's elements begin, 0 for an absent operand; 128-bit loads and stores need multiples of 16."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(context.make_array(array)(context, builder, args[0]).data, I64)

    return types.uint64(array), codegen


def _reinterpreted(dtype_of_result: Callable[[Any], Any]) -> Any:
    """An intrinsic that makes a vector of an array's memory."""

    @intrinsic
    def vector_of(typingctx: Any, array: Any) -> Any:
        result = types.Array(dtype_of_result(array), 1, "C")

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            source, item = context.make_array(array)(context, builder, args[0]), context.get_data_type(result.dtype)
            old_bytes, new_bytes = (context.get_abi_sizeof(context.get_data_type(kind.dtype)) for kind in (array, result))
            size = builder.udiv(builder.mul(source.nitems, I64(old_bytes)), I64(new_bytes))
            return _array_at(context, builder, result, builder.bitcast(source.data, item.as_pointer()), [size])

        return result(array), codegen

    return vector_of


flat = _reinterpreted(lambda array: array.dtype)
words = _reinterpreted(lambda array: types.uint32)
short_words = _reinterpreted(lambda array: types.uint16)
"""A C-contiguous array as a vector; its memory as a vector of uint32, or of uint16."""


def quad_alignment(item_bytes: int) -> int:
    """What the address of four elements is a multiple of where they are read or written at a time."""
    return min(16, 4 * item_bytes)


def _vector_loader(count: int) -> Any:
    @intrinsic
    def load(typingctx: Any, array: Any, index: Any) -> Any:
        alignment = min(16, count * array.dtype.bitwidth // 8)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            item = context.get_data_type(array.dtype)
            pointer = element_pointer(context, builder, array, args[0], args[1])
            vector = builder.load(builder.bitcast(pointer, ir.VectorType(item, count).as_pointer()), align=alignment)
            return pack(builder, [builder.extract_element(vector, I32(place)) for place in range(count)], item)

        return types.UniTuple(array.dtype, count)(array, types.uint64), codegen

    return load


def _vector_storer(count: int) -> Any:
    @intrinsic
    def store(typingctx: Any, array: Any, index: Any, values: Any) -> Any:
        alignment = min(16, count * array.dtype.bitwidth // 8)

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            vector_type = ir.VectorType(context.get_data_type(array.dtype), count)
            vector = ir.Constant(vector_type, ir.Undefined)
            for place, value in enumerate(unpack(builder, args[2], count)):
                vector = builder.insert_element(vector, value, I32(place))
            pointer = element_pointer(context, builder, array, args[0], args[1])
            builder.store(vector, builder.bitcast(pointer, vector_type.as_pointer()), align=alignment)
            return context.get_dummy_value()

        return types.void(array, types.uint64, types.UniTuple(array.dtype, count)), codegen

    return store


load2, load4 = _vector_loader(2), _vector_loader(4)
"""Elements ``index`` to ``index + 1`` or ``+ 3`` of an array, counted through all its axes; their address is a multiple of their
size, or of 16: see `quad_alignment`."""

store2, store4 = _vector_storer(2), _vector_storer(4)
"""``array[index : index + 2] = values``, or ``+ 4``; for the address see `load4`."""


@intrinsic
def bits_of(typingctx: Any, x: Any) -> Any:
    """The bits of a float32."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], I32)

    return types.uint32(types.float32), codegen


@intrinsic
def widened(typingctx: Any, values: Any) -> Any:
    """A tuple of floats as it is, or of the float32 numbers that bfloat16's bits stand for."""
    if isinstance(values.dtype, types.Float):
        return values(values), lambda context, builder, signature, args: args[0]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = [builder.shl(builder.zext(bits, I32), I32(16)) for bits in unpack(builder, args[0], values.count)]
        return pack(builder, [builder.bitcast(word, F32) for word in words], F32)

    return types.UniTuple(types.float32, values.count)(values), codegen


@intrinsic
def zeros(typingctx: Any, dtype: Any, count: Any) -> Any:
    """A tuple of zeros: registers, where every index is a constant."""
    if not isinstance(count, types.IntegerLiteral):
        return None
    scalar, size = _scalar(dtype), count.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        item = context.get_data_type(scalar)
        return ir.Constant(ir.ArrayType(item, size), [item(0)] * size)

    return types.UniTuple(scalar, size)(dtype, count), codegen


zeros.prefer_literal = True


@intrinsic
def fma_outer(typingctx: Any, total: Any, a: Any, b: Any) -> Any:
    """``total[i, j] + a[i] * b[j]`` of tuples, ``total`` row after row; unrolled, b forth and back for the register cache."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums = unpack(builder, args[0], total.count)
        left, right = unpack(builder, args[1], a.count), unpack(builder, args[2], b.count)
        for i in range(a.count):
            for j in range(b.count) if i % 2 == 0 else reversed(range(b.count)):
                place = i * b.count + j
                sums[place] = builder.fma(left[i], right[j], sums[place])
        return pack(builder, sums, sums[0].type)

    return total(total, a, b), codegen


@intrinsic
def architecture(typingctx: Any) -> Any:
    """90 for sm_90, known when PTX is made: of two branches only one is compiled."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        text = builder.addrspacecast(context.insert_const_string(builder.module, "__CUDA_ARCH"), I8.as_pointer())
        reflect = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I32, [I8.as_pointer()]), "__nvvm_reflect")
        return builder.udiv(builder.call(reflect, [text]), I32(10))

    return types.uint32(), codegen


@intrinsic
def arrive(typingctx: Any, address: Any, count: Any) -> Any:
    """How many of ``count`` blocks came here before; the last one sees what they wrote before, and sets the word to 0 again.
    The threads of a block meet before one of them calls, and after.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        last = builder.sub(builder.trunc(args[1], I32), I32(1))
        return inline(builder, I32, "atom.acq_rel.gpu.global.inc.u32 $0, [$1], $2;", "=r,l,r,~{memory}", [args[0], last])

    return types.uint32(types.uint64, types.int64), codegen
