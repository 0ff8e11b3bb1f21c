"""Hopper's own PTX, sm_90a: barriers that count bytes, boxes that the tensor memory accelerator copies, products of a warpgroup.

Addresses of shared memory are bytes of the block's window; a barrier is 8 bytes there. `ptx_hopper_simulated` has the same names
in Python. See PTX ISA 8.0, "Asynchronous Warpgroup Level Matrix Multiply-Accumulate" and "cp.async.bulk.tensor".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.cuda import cgutils, types
from numba.cuda.extending import intrinsic

from fastnn_kernels.cuda.ptx_code import F32, I8, I32, I64, SHARED, VOID, inline, pack, unpack

SWIZZLE_BYTES = 128
"""Shared memory in lines of so many bytes, whose pieces of 16 bytes are exchanged by the line's number, modulo 8."""


def _fitted(builder: Any, value: Any, kind: str) -> Any:
    """An integer as a register of 32 bits (r) or 64 (l)."""
    wanted = I32 if kind == "r" else I64
    if value.type.width > wanted.width:
        return builder.trunc(value, wanted)
    return builder.zext(value, wanted) if value.type.width < wanted.width else value


def _doing(text: str, kinds: str = "") -> Callable[..., Any]:
    """Code of an intrinsic that has an effect and no result; ``kinds``: the registers of its integers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        values = [_fitted(builder, value, kind) for value, kind in zip(args, kinds, strict=True)]
        inline(builder, VOID, text, ",".join([*kinds, "~{memory}"]), values)
        return context.get_dummy_value()

    return codegen


@intrinsic
def shared_memory(typingctx: Any) -> Any:
    """Where the memory begins that the launch gives to each block."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        memory = builder.module.globals.get("dynamic_shared_memory")
        if memory is None:
            memory = cgutils.add_global_variable(builder.module, ir.ArrayType(I8, 0), "dynamic_shared_memory", SHARED)
            memory.align = 16
        return builder.ptrtoint(memory, I64)

    return types.int64(), codegen


@intrinsic
def counted(typingctx: Any, value: Any) -> Any:
    """An integer of which LLVM knows nothing: it unrolls no loop that counts by it, for which a producer has no registers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return inline(builder, I64, "mov.b64 $0, $1;", "=l,l", args)

    return types.int64(types.int64), codegen


@intrinsic
def cluster_rank(typingctx: Any) -> Any:
    """The block's number in its cluster."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(inline(builder, I32, "mov.u32 $0, %cluster_ctarank;", "=r", []), I64)

    return types.int64(), codegen


@intrinsic
def cluster_sync(typingctx: Any) -> Any:
    """All threads of the cluster's blocks meet."""
    return types.void(), _doing("barrier.cluster.arrive.release; barrier.cluster.wait.acquire;")


@intrinsic
def barrier_init(typingctx: Any, barrier: Any, arrivals: Any) -> Any:
    """A phase of the barrier ends with ``arrivals`` arrivals and all bytes that were announced; `barriers_ready` follows."""
    return types.void(barrier, arrivals), _doing("mbarrier.init.shared::cta.b64 [$0], $1;", "rr")


@intrinsic
def barriers_ready(typingctx: Any) -> Any:
    """What `barrier_init` did is seen by the whole cluster after its next `cluster_sync`."""
    return types.void(), _doing("fence.mbarrier_init.release.cluster;")


@intrinsic
def barrier_expect(typingctx: Any, barrier: Any, count: Any) -> Any:
    """Arrive, and announce ``count`` bytes."""
    text = "mbarrier.arrive.expect_tx.release.cta.shared::cta.b64 _, [$0], $1;"
    return types.void(barrier, count), _doing(text, "rr")


@intrinsic
def barrier_arrive(typingctx: Any, barrier: Any, rank: Any, blocks: Any) -> Any:
    """Arrive at the barrier of block ``rank`` of the cluster, unless ``rank >= blocks``; a warp's threads stay together."""
    text = (
        "{ .reg .pred p; .reg .b32 remote; setp.lt.u32 p, $1, $2; @p mapa.shared::cluster.u32 remote, $0, $1; "
        "@p mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote]; }"
    )
    return types.void(barrier, rank, blocks), _doing(text, "rrr")


@intrinsic
def barrier_wait(typingctx: Any, barrier: Any, parity: Any) -> Any:
    """Until the barrier's phase of this parity has ended; a new barrier is in phase 0, and that of parity 1 counts as over."""
    text = (
        "{ .reg .pred done; again_${:uid}: "
        "mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 done, [$0], $1; "
        "@!done bra again_${:uid}; }"
    )
    return types.void(barrier, parity), _doing(text, "rr")


@intrinsic
def load_box(typingctx: Any, target: Any, tensor_map: Any, row: Any, column: Any, barrier: Any) -> Any:
    """A map's box at ``row`` and ``column``, zeros beyond the matrix, to ``target``, of which the barrier hears."""
    text = "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [$0], [$1, {$3, $2}], [$4];"
    return types.void(target, tensor_map, row, column, barrier), _doing(text, "rlrrr")


@intrinsic
def load_box_to(typingctx: Any, target: Any, tensor_map: Any, row: Any, column: Any, barrier: Any, blocks: Any) -> Any:
    """`load_box` to the same place in each of the cluster's blocks whose bit is set in ``blocks``, and their barriers."""
    text = (
        "{ .reg .b16 mask; cvt.u16.u32 mask, $5; "
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster "
        "[$0], [$1, {$3, $2}], [$4], mask; }"
    )
    return types.void(target, tensor_map, row, column, barrier, blocks), _doing(text, "rlrrrr")


def _registers_setter(change: str) -> Any:
    @intrinsic
    def set_registers(typingctx: Any, count: Any) -> Any:
        if not isinstance(count, types.IntegerLiteral):
            return None

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            inline(builder, VOID, f"setmaxnreg.{change}.sync.aligned.u32 {count.literal_value};", "~{memory}", [])
            return context.get_dummy_value()

        return types.void(count), codegen

    set_registers.prefer_literal = True
    return set_registers


fewer_registers, more_registers = _registers_setter("dec"), _registers_setter("inc")
"""A warpgroup's threads keep so many registers, or take so many of those that others gave back; the number is a constant."""


def _changing(builder: Any, sums: list[Any], text: str, others: list[Any]) -> Any:
    """PTX that works on ``sums``, its first operands, in place; their new values."""
    count = len(sums)
    constraints = ",".join([*["=f"] * count, *map(str, range(count)), *["l"] * len(others), "~{memory}"])
    result = inline(builder, ir.LiteralStructType([F32] * count), text, constraints, [*sums, *others])
    return pack(builder, unpack(builder, result, count), F32)


@intrinsic
def multiply_slab(typingctx: Any, sums: Any, a: Any, b: Any, a_by_terms: Any, b_by_terms: Any) -> Any:
    """``sums + a @ b`` of a warpgroup: 64 rows of a by 64 terms, by as many columns of b as make 2 ``len(sums)``; bfloat16.

    a and b are descriptors of shared memory, swizzled: an item's terms are a line of it, or, where ``by_terms``, a term's items.
    With w the warp, g = lane // 4 and t = lane % 4 a thread has ``sums[16 w + g + 8 h, 8 n + 2 t + j]`` as number 4 n + 2 h + j.
    They are right after `products_done`; the products that were begun before these are done here.
    """
    if not (isinstance(a_by_terms, types.IntegerLiteral) and isinstance(b_by_terms, types.IntegerLiteral)):
        return None
    flags = a_by_terms.literal_value, b_by_terms.literal_value
    a_step, b_step = (16 * SWIZZLE_BYTES // 16 if flag else 2 for flag in flags)  # of 16 bytes, for 16 terms
    columns = first = 2 * sums.count  # the descriptors' numbers, after the sums' new and old values, begin there

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        registers = "{" + ",".join(f"${place}" for place in range(sums.count)) + "}"
        lines = ["{ .reg .b64 a, b; .reg .pred p; setp.ne.b32 p, 1, 0; wgmma.fence.sync.aligned;"]
        for step in range(4):
            lines.append(f"add.s64 a, ${first}, {step * a_step}; add.s64 b, ${first + 1}, {step * b_step};")
            lines.append(
                f"wgmma.mma_async.sync.aligned.m64n{columns}k16.f32.bf16.bf16 {registers}, a, b, p, 1, 1, {flags[0]}, {flags[1]};"
            )
        lines.append("wgmma.commit_group.sync.aligned; wgmma.wait_group.sync.aligned 1; }")
        return _changing(builder, unpack(builder, args[0], sums.count), "\n".join(lines), args[1:3])

    return sums(sums, types.int64, types.int64, a_by_terms, b_by_terms), codegen


multiply_slab.prefer_literal = True


@intrinsic
def products_done(typingctx: Any, sums: Any) -> Any:
    """The sums, once all products of the warpgroup are in them."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _changing(builder, unpack(builder, args[0], sums.count), "wgmma.wait_group.sync.aligned 0;", [])

    return sums(sums), codegen
