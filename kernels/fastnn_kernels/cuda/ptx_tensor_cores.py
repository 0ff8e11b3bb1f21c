"""PTX of tensor cores, from sm_80: copies past the registers, tiles from shared memory, products of a warp. Names of `ptx`."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from fastnn_kernels.cuda.ptx_code import F32, I32, I64, VOID, element_pointer, inline, pack, shared_address, unpack


def _copier(cache: str, size: int) -> Any:
    @intrinsic
    def copy_async(typingctx: Any, target: Any, target_index: Any, source: Any, source_index: Any, count: Any) -> Any:
        """``size`` bytes into a shared array past the registers, from sm_80: the first ``count`` elements from a global one, then
        zeros. Both addresses are multiples of ``size``; with a count of 0 the source may be anywhere.
        """

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            shared = shared_address(context, builder, target, args[0], args[1])
            data = builder.ptrtoint(element_pointer(context, builder, source, args[2], args[3]), I64)
            read = builder.mul(builder.trunc(args[4], I32), I32(source.dtype.bitwidth // 8))
            inline(
                builder, VOID, f"cp.async.{cache}.shared.global [$0], [$1], {size}, $2;", "r,l,r,~{memory}", [shared, data, read]
            )
            return context.get_dummy_value()

        return types.void(target, types.uint64, source, types.uint64, types.uint64), codegen

    return copy_async


copy4_async, copy16_async = _copier("ca", 4), _copier("cg", 16)


@intrinsic
def copies_commit(typingctx: Any) -> Any:
    """The copies since the last call are one group."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        inline(builder, VOID, "cp.async.commit_group;", "~{memory}", [])
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def copies_wait(typingctx: Any, groups: Any) -> Any:
    """Until at most ``groups`` groups of this thread's copies are under way; then the block has to `sync`."""
    if not isinstance(groups, types.IntegerLiteral):
        return None

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        inline(builder, VOID, f"cp.async.wait_group {groups.literal_value};", "~{memory}", [])
        return context.get_dummy_value()

    return types.void(groups), codegen


copies_wait.prefer_literal = True


def _on_each(text: str, inputs: int) -> Any:
    """An intrinsic that applies PTX to the elements of ``inputs`` tuples of float32."""
    constraints = ",".join(["=f"] + ["f"] * inputs)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        columns = [unpack(builder, packed, signature.args[0].count) for packed in args]
        results = [inline(builder, F32, text, constraints, values, effect=False) for values in zip(*columns, strict=True)]
        return pack(builder, results, F32)

    return codegen


ROUND_TF32 = "{ .reg .b32 t; cvt.rna.tf32.f32 t, $1; mov.b32 $0, t; }"
HALF_TF32, BITS_TF32 = 0x1000, -0x2000
"""Half a unit in the last place of the 10 bits that tensor cores read, and the bits they read of a float32."""


@intrinsic
def round_tf32(typingctx: Any, values: Any) -> Any:
    """Float32 numbers, rounded to the 10 bits that the tensor cores read; from sm_80."""
    return values(values), _on_each(ROUND_TF32, 1)


def _matrix_loader(form: str) -> Any:
    @intrinsic
    def load_matrices(typingctx: Any, array: Any, index: Any) -> Any:
        """Four 8x8 matrices of 16-bit elements from shared memory, two elements of each a thread, in one uint32: with g = lane // 4
        and t = lane % 4 those at [g, 2 t] and [g, 2 t + 1]; transposed those at [2 t, g] and [2 t + 1, g]. Row r of matrix k begins
        at the ``index`` of lane 8 k + r, its address a multiple of 16.
        """

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            text = f"ldmatrix.sync.aligned.m8n8.x4{form}.shared.b16 {{$0,$1,$2,$3}}, [$4];"
            address = shared_address(context, builder, array, *args)
            found = inline(builder, ir.LiteralStructType([I32] * 4), text, "=r,=r,=r,=r,r,~{memory}", [address])
            return pack(builder, unpack(builder, found, 4), I32)

        return types.UniTuple(types.uint32, 4)(array, types.uint64), codegen

    return load_matrices


load_matrices, load_matrices_transposed = _matrix_loader(""), _matrix_loader(".trans")

TF32, BFLOAT16 = "m16n8k8.row.col.f32.tf32.tf32.f32", "m16n8k16.row.col.f32.bf16.bf16.f32"


def _mma_tile(builder: Any, kind: str, sums: list[Any], a: list[Any], b: list[Any]) -> list[Any]:
    """One product of tiles of ``kind``, of numbers as words: four registers a thread of a, two of b, four of sums."""
    text = f"mma.sync.aligned.{kind} {{$0,$1,$2,$3}}, {{$4,$5,$6,$7}}, {{$8,$9}}, {{$10,$11,$12,$13}};"
    constraints, result = "=f,=f,=f,=f,r,r,r,r,r,r,f,f,f,f", ir.LiteralStructType([F32] * 4)
    return unpack(builder, inline(builder, result, text, constraints, [*a, *b, *sums], effect=False), 4)


def _mma(kind: str, total: Any, a: Any, b: Any) -> Any:
    """Code for the products of a warp's tiles."""
    rows, columns = a.count // 4, b.count // 2

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums = unpack(builder, args[0], total.count)
        left, right = (
            [builder.bitcast(v, I32) for v in unpack(builder, p, t.count)] for p, t in zip(args[1:], (a, b), strict=True)
        )
        for m in range(rows):
            for n in range(columns) if m % 2 == 0 else reversed(range(columns)):
                place = slice(4 * (m * columns + n), 4 * (m * columns + n) + 4)
                sums[place] = _mma_tile(builder, kind, sums[place], left[4 * m : 4 * m + 4], right[2 * n : 2 * n + 2])
        return pack(builder, sums, F32)

    return codegen


def _split_tf32(builder: Any, value: Any) -> tuple[Any, Any]:
    """A float32 number as words: rounded to what tensor cores read, and the rest, of whose 12 bits they read 11. In three
    instructions, where `round_tf32` takes four; of infinity and NaN the rest is NaN.
    """
    high = builder.and_(builder.add(builder.bitcast(value, I32), I32(HALF_TF32)), I32(BITS_TF32))
    return high, builder.bitcast(builder.fsub(value, builder.bitcast(high, F32)), I32)


@intrinsic
def mma_3xtf32(typingctx: Any, total: Any, a: Any, b: Any) -> Any:
    """`mma_tf32` as exact as float32: three products of the numbers' two parts; tensor cores sum those alone."""
    rows, columns = a.count // 4, b.count // 2

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums = unpack(builder, args[0], total.count)
        left, right = (
            [_split_tf32(builder, v) for v in unpack(builder, p, t.count)] for p, t in zip(args[1:], (a, b), strict=True)
        )
        for n in range(columns):
            b_high, b_rest = zip(*right[2 * n : 2 * n + 2], strict=True)
            for m in range(rows) if n % 2 == 0 else reversed(range(rows)):
                a_high, a_rest = zip(*left[4 * m : 4 * m + 4], strict=True)
                part = [F32(0)] * 4
                for factors in ((a_rest, b_high), (a_high, b_rest), (a_high, b_high)):
                    part = _mma_tile(builder, TF32, part, list(factors[0]), list(factors[1]))
                for place, number in enumerate(part, start=4 * (m * columns + n)):
                    sums[place] = builder.fadd(sums[place], number)
        return pack(builder, sums, F32)

    return total(total, a, b), codegen


@intrinsic
def mma_tf32(typingctx: Any, total: Any, a: Any, b: Any) -> Any:
    """``total + a @ b`` of a warp's tiles, 16x8 by 8x8 each, from sm_80: 4 numbers a thread of each of a's tiles, 2 of b's, 4 of
    total's; ``total`` row of tiles after row. With g = lane // 4 and t = lane % 4 a thread holds a[g, t], a[g + 8, t], a[g, t + 4],
    a[g + 8, t + 4]; b[t, g], b[t + 4, g]; total[g, 2 t], total[g, 2 t + 1], total[g + 8, 2 t], total[g + 8, 2 t + 1].
    """
    return total(total, a, b), _mma(TF32, total, a, b)


@intrinsic
def mma_bfloat16(typingctx: Any, total: Any, a: Any, b: Any) -> Any:
    """`mma_tf32` of bfloat16 tiles, 16x16 by 16x8, two neighbouring terms in one uint32: a[g, 2 t] and a[g, 2 t + 1], the same
    of row g + 8, of terms 2 t + 8 and 2 t + 9, and of both; b[2 t, g] and b[2 t + 1, g], b[2 t + 8, g] and b[2 t + 9, g].
    """
    return total(total, a, b), _mma(BFLOAT16, total, a, b)
