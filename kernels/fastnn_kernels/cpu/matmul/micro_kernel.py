"""The micro-kernel: one tile of ``out = a @ b`` in registers, written to memory with what follows the product.

Contract, of the vector kernels and of their twin `plain_tile`::

    out[i, j] = relu(old[i, j] + sum over p < depth of a[i, p] * b[p, j] + bias[j])    for i < rows, j < columns

where ``a[i, p]`` is element ``a_start + i * a_row + p * a_column`` of the flat ``a``, ``b[p, j]`` is element
``b_start + p * b_row + j``, ``out[i, j]`` is ``out_start + i * out_row + j`` and ``bias[j]`` is ``bias_start + j``.
``flags`` says which of old, bias and relu take part: ADD, BIAS, RELU; relu has the slope ``slope`` below 0. ``depth`` >= 1.
Terms are added in the order of p, each by one fused multiply-add, so an element's bits do not depend on its place in a tile.
Where the tile has no masks, b is readable for a whole tile's columns.

Rows past the edge repeat the last row, and store its values again: no branches, nothing outside is touched.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from fastnn_kernels.cpu.matmul.blocking import PLAIN, Tile, tile_of
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.vector_math import multiply_add

ADD, BIAS, RELU = 1, 2, 4

I1, I32, I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)

TILE = tile_of(*cpu_target.target_context.codegen().magic_tuple()[::2])
"""The tile for what Numba compiles for, which is not always what the host can."""


@intrinsic
def flat(typingctx: Any, array: Any) -> Any:
    """The same memory as a 1-D array, without counting references."""
    flat_type = types.Array(array.dtype, 1, "C")

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        old = context.make_array(array)(context, builder, args[0])
        new = context.make_array(flat_type)(context, builder)
        populate_array(new, data=old.data, shape=[old.nitems], strides=[old.itemsize], itemsize=old.itemsize, meminfo=None)
        return new._getvalue()

    return flat_type(array), codegen


class _Vectors:
    """Emits the vector operations of one element type."""

    def __init__(self, builder: Any, element: Any, lanes: int) -> None:
        self.builder, self.element, self.lanes = builder, element, lanes
        self.type = ir.VectorType(element, lanes)
        self.mask_type = ir.VectorType(I1, lanes)
        self.align = 4 if isinstance(element, ir.FloatType) else 8
        self.suffix = f"v{lanes}f{8 * self.align}"
        self.zero = ir.Constant(self.type, None)

    def call(self, name: str, result: Any, *args: Any) -> Any:
        function_type = ir.FunctionType(result, [arg.type for arg in args])
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function_type, f"llvm.{name}"), args)

    def spread(self, scalar: Any) -> Any:
        """The scalar in every lane."""
        vector = ir.VectorType(scalar.type, self.lanes)
        undefined = ir.Constant(vector, ir.Undefined)
        first = self.builder.insert_element(undefined, scalar, I32(0))
        return self.builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes))

    def mask(self, columns: Any, first: int) -> Any:
        """Lanes whose column ``first + lane`` is below ``columns``."""
        places = ir.Constant(ir.VectorType(I32, self.lanes), list(range(first, first + self.lanes)))
        return self.builder.icmp_signed("<", places, self.spread(self.builder.trunc(columns, I32)))

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        return self.call(f"fmuladd.{self.suffix}", self.type, x, y, z)

    def load(self, pointer: Any) -> Any:
        return self.builder.load(self.builder.bitcast(pointer, self.type.as_pointer()), align=self.align)

    def masked_load(self, pointer: Any, mask: Any) -> Any:
        place = self.builder.bitcast(pointer, self.type.as_pointer())
        return self.call(f"masked.load.{self.suffix}.p0", self.type, place, I32(self.align), mask, self.zero)

    def masked_store(self, value: Any, pointer: Any, mask: Any) -> None:
        place = self.builder.bitcast(pointer, self.type.as_pointer())
        self.call(f"masked.store.{self.suffix}.p0", ir.VoidType(), value, place, I32(self.align), mask)

    def relu(self, x: Any, slope: Any) -> Any:
        """x where x > 0 or NaN, else slope * x; with a slope of 0 it is 0, at -inf too."""
        flat_below = self.builder.fcmp_ordered("==", slope, self.zero)
        below = self.builder.select(flat_below, self.zero, self.builder.fmul(slope, x))
        return self.builder.select(self.builder.fcmp_ordered("<=", x, self.zero), below, x)


def _clamped_rows(builder: Any, pointer: Any, row: Any, rows: Any, count: int) -> list[Any]:
    """Pointers to ``count`` rows that lie ``row`` elements apart; those past the edge are the last row's."""
    last = builder.sub(rows, I64(1))
    pointers = [pointer]
    for i in range(1, count):
        inside = builder.icmp_signed("<", I64(i), rows)
        pointers.append(builder.gep(pointer, [builder.mul(row, builder.select(inside, I64(i), last))]))
    return pointers


def _products(v: _Vectors, depth: Any, a_rows: list[Any], a_column: Any, b: Any, b_row: Any, masks: list[Any], masked: bool) -> Any:
    """The k-loop: ``len(a_rows) x len(masks)`` vectors of sums."""
    builder = v.builder
    before = builder.block
    loop, after = builder.append_basic_block("terms"), builder.append_basic_block("terms.done")
    builder.branch(loop)
    builder.position_at_end(loop)
    p, a_offset, b_offset = (builder.phi(I64) for _ in range(3))
    sums = [[builder.phi(v.type) for _ in masks] for _ in a_rows]
    here = builder.gep(b, [b_offset])
    columns = [builder.gep(here, [I64(place * v.lanes)]) for place in range(len(masks))]
    b_vectors = [v.masked_load(column, mask) if masked else v.load(column) for column, mask in zip(columns, masks, strict=True)]
    updated = []
    for a_row, row_sums in zip(a_rows, sums, strict=True):
        a_value = v.spread(builder.load(builder.gep(a_row, [a_offset])))
        updated.append([v.multiply_add(a_value, b_vector, old) for b_vector, old in zip(b_vectors, row_sums, strict=True)])
    steps = ((p, I64(1)), (a_offset, a_column), (b_offset, b_row))
    for counter, step in steps:
        counter.add_incoming(I64(0), before)
        counter.add_incoming(builder.add(counter, step), loop)
    for old_row, new_row in zip(sums, updated, strict=True):
        for old, new in zip(old_row, new_row, strict=True):
            old.add_incoming(v.zero, before)
            old.add_incoming(new, loop)
    builder.cbranch(builder.icmp_signed("<", builder.add(p, I64(1)), depth), loop, after)
    builder.position_at_end(after)
    return updated


def _where(v: _Vectors, condition: Any, tile: Any, change: Any) -> Any:
    """``change(i, j, vector)`` of every vector of the tile if the condition holds."""
    builder = v.builder
    before = builder.block
    with builder.if_then(condition):
        changed = [[change(i, j, x) for j, x in enumerate(row)] for i, row in enumerate(tile)]
        inside = builder.block
    merged = []
    for old_row, new_row in zip(tile, changed, strict=True):
        merged.append([builder.phi(v.type) for _ in old_row])
        for phi, old, new in zip(merged[-1], old_row, new_row, strict=True):
            phi.add_incoming(old, before)
            phi.add_incoming(new, inside)
    return merged


def _vector_tile(tile: Tile, vectors: int) -> Any:
    """A micro-kernel of ``tile.rows`` rows and ``vectors`` vectors of columns."""

    @intrinsic
    def vector_tile(
        typingctx: Any, depth: Any, a: Any, a_start: Any, a_row: Any, a_column: Any, b: Any, b_start: Any, b_row: Any,
        out: Any, out_start: Any, out_row: Any, rows: Any, columns: Any, bias: Any, bias_start: Any, flags: Any, slope: Any,
    ) -> Any:  # fmt: skip
        signature = types.void(
            depth,
            a,
            a_start,
            a_row,
            a_column,
            b,
            b_start,
            b_row,
            out,
            out_start,
            out_row,
            rows,
            columns,
            bias,
            bias_start,
            flags,
            slope,
        )

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            depth, a, a_start, a_row, a_column, b, b_start, b_row, out, out_start, out_row = args[:11]
            rows, columns, bias, bias_start, flags, slope = args[11:]

            def place(array: Any, start: Any) -> Any:
                return builder.gep(context.make_array(signature.args[1])(context, builder, array).data, [start])

            element = context.get_value_type(out_type.dtype)
            v = _Vectors(builder, element, tile.vector_bytes // (4 if isinstance(element, ir.FloatType) else 8))
            masks = [v.mask(columns, j * v.lanes) for j in range(vectors)]
            a_rows = _clamped_rows(builder, place(a, a_start), a_row, rows, tile.rows)
            sums = _products(v, depth, a_rows, a_column, place(b, b_start), b_row, masks, tile.masks)
            out_rows = _clamped_rows(builder, place(out, out_start), out_row, rows, tile.rows)
            targets = [[builder.gep(row, [I64(j * v.lanes)]) for j in range(vectors)] for row in out_rows]

            def flag(bit: int) -> Any:
                return builder.icmp_signed("!=", builder.and_(flags, I64(bit)), I64(0))

            biases = place(bias, bias_start)
            sums = _where(v, flag(ADD), sums, lambda i, j, x: builder.fadd(v.masked_load(targets[i][j], masks[j]), x))
            with_bias = lambda i, j, x: builder.fadd(x, v.masked_load(builder.gep(biases, [I64(j * v.lanes)]), masks[j]))  # noqa: E731
            sums = _where(v, flag(BIAS), sums, with_bias)
            slopes = v.spread(slope)
            sums = _where(v, flag(RELU), sums, lambda i, j, x: v.relu(x, slopes))
            for row, row_targets in zip(sums, targets, strict=True):
                for x, target, mask in zip(row, row_targets, masks, strict=True):
                    v.masked_store(x, target, mask)
            return context.get_dummy_value()

        out_type = out
        return signature, codegen

    return vector_tile


@kernel
def plain_tile(
    depth, a, a_start, a_row, a_column, b, b_start, b_row, out, out_start, out_row, rows, columns, bias, bias_start, flags, slope
):
    """The contract, element by element."""
    zero = out.dtype.type(0)
    for i in range(rows):
        for j in range(columns):
            total = zero
            for p in range(depth):
                total = multiply_add(a[a_start + i * a_row + p * a_column], b[b_start + p * b_row + j], total)
            if flags & ADD:
                total = out[out_start + i * out_row + j] + total
            if flags & BIAS:
                total += bias[bias_start + j]
            if flags & RELU and total <= zero:
                total = slope * total if slope != zero else zero
            out[out_start + i * out_row + j] = total


if TILE is PLAIN:
    wide_tile = narrow_tile = plain_tile
else:
    wide_tile, narrow_tile = _vector_tile(TILE, TILE.vectors), _vector_tile(TILE, 1)
