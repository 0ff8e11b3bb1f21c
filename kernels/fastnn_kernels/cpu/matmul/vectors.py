"""What matmul needs below Numba's language: vectors, and flat views of arrays."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from fastnn_kernels.cpu.floats import widen
from fastnn_kernels.cpu.matmul.blocking import tile_of
from fastnn_kernels.cpu.options import by_type

I8, I16, I32, I64 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64)

TILE = tile_of(*cpu_target.target_context.codegen().magic_tuple()[::2])
"""The tile for what Numba compiles for, which is not always what the host can."""


def _tile_columns(array: Any) -> Any:
    columns = TILE.columns(array.dtype.bitwidth // 8)
    return lambda array: columns


@by_type(_tile_columns)
def tile_columns(array):
    """Columns of a tile of the array's dtype: a constant to the compiler."""
    return TILE.columns(array.itemsize)


def element_pointer(context: Any, builder: Any, array_type: Any, array: Any, start: Any) -> Any:
    """Pointer to element ``start`` of a flat array."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [start])


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


class Vectors:
    """Emits the vector operations of one element type."""

    def __init__(self, builder: Any, element: Any, vector_bytes: int) -> None:
        self.builder = builder
        self.align = 4 if isinstance(element, ir.FloatType) else 8
        self.lanes = lanes = vector_bytes // self.align
        self.type = ir.VectorType(element, lanes)
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

    def load_one(self, pointer: Any) -> Any:
        """One number; of bfloat16 the float32 that it is."""
        value = self.builder.load(pointer)
        return widen(self.builder, value) if value.type == I16 else value

    def load(self, pointer: Any, mask: Any = None) -> Any:
        """A vector; zero where a mask is given and not set. Of bfloat16, which has no mask, the float32 numbers that they are."""
        if pointer.type.pointee == I16:
            halves = self.builder.bitcast(pointer, ir.VectorType(I16, self.lanes).as_pointer())
            return widen(self.builder, self.builder.load(halves, align=2))
        place = self.builder.bitcast(pointer, self.type.as_pointer())
        if mask is None:
            return self.builder.load(place, align=self.align)
        return self.call(f"masked.load.{self.suffix}.p0", self.type, place, I32(self.align), mask, self.zero)

    def store(self, value: Any, pointer: Any, mask: Any = None) -> None:
        """Write a vector; with a mask only its set lanes, slowly on Zen 5 where the line is not in L1."""
        place = self.builder.bitcast(pointer, value.type.as_pointer())
        if mask is None:
            self.builder.store(value, place, align=self.align)
        else:
            self.call(f"masked.store.{self.suffix}.p0", ir.VoidType(), value, place, I32(self.align), mask)

    def store_part(self, values: list[Any], pointers: list[Any], count: Any) -> None:
        """Write the first ``count`` lanes of each vector, or all, or none, without AVX2's masked store: 12 cycles on Zen 3."""
        builder = self.builder
        with builder.if_else(builder.icmp_signed(">=", count, I64(self.lanes))) as (whole, part):
            with whole:
                for value, pointer in zip(values, pointers, strict=True):
                    self.store(value, pointer)
            with part, builder.if_then(builder.icmp_signed(">", count, I64(0))):
                self._store_pieces(values, pointers, count)

    def store_spilling(self, values: list[Any], pointers: list[Any], rows: Any, count: Any) -> None:
        """`store_part` of rows in memory's order. Of all but the last, if they are all there, whole vectors are stored."""
        builder = self.builder
        with builder.if_else(builder.icmp_signed(">=", rows, I64(len(values)))) as (whole, part):
            with whole:
                for value, pointer in zip(values[:-1], pointers[:-1], strict=True):
                    self.store(value, pointer)
                self.store_part(values[-1:], pointers[-1:], count)
            with part:
                self.store_part(values[::-1], pointers[::-1], count)

    def _store_pieces(self, values: list[Any], pointers: list[Any], count: Any) -> None:
        """Half a vector, a quarter, ..., as the bits of ``count`` say."""
        builder, size = self.builder, self.lanes
        while size > 1:
            size //= 2
            lower, upper = ([self._lanes(value, first, size) for value in values] for first in (0, size))
            present = builder.icmp_signed("!=", builder.and_(count, I64(size)), I64(0))
            with builder.if_then(present):
                for value, pointer in zip(lower, pointers, strict=True):
                    self.store(value, pointer)
            values = [builder.select(present, high, low) for low, high in zip(lower, upper, strict=True)]
            pointers = [builder.gep(pointer, [builder.select(present, I64(size), I64(0))]) for pointer in pointers]

    def _lanes(self, value: Any, first: int, count: int) -> Any:
        """``count`` lanes of a vector, from ``first`` on."""
        order = ir.Constant(ir.VectorType(I32, count), list(range(first, first + count)))
        return self.builder.shuffle_vector(value, ir.Constant(value.type, ir.Undefined), order)

    def prefetch(self, pointer: Any, *, writes: bool) -> None:
        """Ask for the line at ``pointer``."""
        place = self.builder.bitcast(pointer, I8.as_pointer())
        self.call("prefetch.p0", ir.VoidType(), place, I32(int(writes)), I32(3), I32(1))

    def relu(self, x: Any, slope: Any) -> Any:
        """x where x > 0 or NaN, else slope * x; with a slope of 0 it is 0, at -inf too."""
        flat_below = self.builder.fcmp_ordered("==", slope, self.zero)
        below = self.builder.select(flat_below, self.zero, self.builder.fmul(slope, x))
        return self.builder.select(self.builder.fcmp_ordered("<=", x, self.zero), below, x)

    def rows(self, pointer: Any, row: Any, count: int) -> list[Any]:
        """Pointers to ``count`` rows that lie ``row`` elements apart."""
        return [self.builder.gep(pointer, [self.builder.mul(row, I64(i))]) for i in range(count)]

    def clamped_rows(self, pointer: Any, row: Any, rows: Any, count: int) -> list[Any]:
        """Pointers to ``count`` rows that lie ``row`` elements apart; those past the edge are the last row's."""
        builder, last = self.builder, self.builder.sub(rows, I64(1))
        pointers = [pointer]
        for i in range(1, count):
            inside = builder.icmp_signed("<", I64(i), rows)
            pointers.append(builder.gep(pointer, [builder.mul(row, builder.select(inside, I64(i), last))]))
        return pointers

    def transpose(self, rows: list[Any]) -> list[Any]:
        """``lanes`` vectors of ``lanes``, transposed: within 128 bits, where AVX2's shuffles are one instruction; then across."""
        short, size = min(16 // self.align, self.lanes), 1
        while size < self.lanes:
            rows = self._interleave(rows, size, short) if size < short else self._exchange(rows, size)
            size *= 2
        return rows

    def _interleave(self, rows: list[Any], size: int, short: int) -> list[Any]:
        """``size`` lanes of row i and of row i + size in turn, from the lower and from the upper half of each ``short`` lanes."""
        starts = [lane for first in range(0, self.lanes, short) for lane in range(first, first + short // 2, size)]
        lower = [start + of + i for start in starts for of in (0, self.lanes) for i in range(size)]
        upper, after = [lane + short // 2 for lane in lower], []
        for i in self._firsts(size):
            after += [self._shuffle(rows[i], rows[i + size], order) for order in (lower, upper)]
        return after

    def _exchange(self, rows: list[Any], size: int) -> list[Any]:
        """Every second ``size`` lanes of row i exchanged for the other ones of row i + size."""
        lower = [lane + self.lanes - size if lane & size else lane for lane in range(self.lanes)]
        upper, after = [lane + size for lane in lower], list(rows)
        for i in self._firsts(size):
            after[i], after[i + size] = (self._shuffle(rows[i], rows[i + size], order) for order in (lower, upper))
        return after

    def _firsts(self, size: int) -> list[int]:
        """The rows i of all pairs i, i + size."""
        return [i for first in range(0, self.lanes, 2 * size) for i in range(first, first + size)]

    def _shuffle(self, x: Any, y: Any, order: list[int]) -> Any:
        """Lanes of x and then of y in that order."""
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(I32, self.lanes), order))
