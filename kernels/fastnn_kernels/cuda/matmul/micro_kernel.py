"""The part of a tile that one thread computes, in registers, and how it gets from there to out."""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, sync, thread
from fastnn_kernels.cuda.matmul.blocking import STRIP, Tile
from fastnn_kernels.cuda.matmul.packing import flip_of
from fastnn_kernels.cuda.target import kernel, ptx
from fastnn_kernels.cuda.vector_math import sigmoid, tanh
from fastnn_kernels.instructions import ACTIVATION_RELU, ACTIVATION_SIGMOID, ACTIVATION_TANH


def places_of(tile: Tile) -> Any:
    """``places()`` for a tile: this thread's group, the rows and columns of the tile before its warp's part, and its lane there."""
    lanes, members, warps_across = tile.lanes, tile.members, tile.warps_across
    rows, columns = STRIP * tile.strips, 4 * tile.lanes_across

    @kernel
    def places():
        member = thread() % members
        warp = member // lanes
        return thread() // members, warp // warps_across * rows, warp % warps_across * columns, member % lanes

    return places


def multiply_of(tile: Tile) -> Any:
    """``multiply(total, slabs, group, row, column, lane)`` for a tile: add a slab's products to a thread's sums.

    A second strip of rows lies 16 further, which is another bit of the row's number.
    """
    a_stride, b_stride = tile.rows + tile.padding, tile.columns + tile.padding
    b_first, terms_of_group, lanes_across = tile.depth * a_stride, tile.depth // tile.groups, tile.lanes_across
    flip = flip_of(tile)

    @kernel
    def load_strip(slabs, term, row):
        return ptx.load4(slabs, ptx.unsigned(term * a_stride + row))

    @kernel
    def load_strips(slabs, term, row):
        return load_strip(slabs, term, row) + load_strip(slabs, term, row ^ STRIP)

    load_rows = load_strip if tile.strips == 1 else load_strips

    @kernel
    def multiply_term(total, slabs, term, row, column):
        return ptx.fma_outer(total, load_rows(slabs, term, row), ptx.load4(slabs, ptx.unsigned(b_first + term * b_stride + column)))

    @kernel
    def multiply(total, slabs, group, row, column, lane):
        row, column = row + 4 * (lane // lanes_across), column + 4 * (lane % lanes_across)
        for step in range(0, terms_of_group, 4):
            term = group * terms_of_group + step
            i, j = row ^ flip(term), column ^ flip(term)
            total = multiply_term(total, slabs, term, i, j)
            total = multiply_term(total, slabs, term + 1, i, j)
            total = multiply_term(total, slabs, term + 2, i, j)
            total = multiply_term(total, slabs, term + 3, i, j)
        return total

    return multiply


def put_strip_of(tile: Tile, strip: int) -> Any:
    """``put_strip(total, shared, at, lane)`` for a tile: a strip of a thread's sums to shared memory."""
    columns, lanes_across = tile.columns, tile.lanes_across
    lines = [
        "def put_strip(total, shared, at, lane):",
        f"    at += 4 * (lane // {lanes_across} * {columns} + lane % {lanes_across})",
    ]
    for row in range(4):
        start = 16 * strip + 4 * row
        lines.append(f"    ptx.store4(shared, ptx.unsigned(at + {row * columns}), total[{start}:{start + 4}])")
    namespace: dict[str, Any] = {"ptx": ptx}
    exec("\n".join(lines), namespace)
    return kernel(namespace["put_strip"])


@kernel
def activated(value, activation, slope):
    """The activation of one number; NaN stays NaN, and with a slope of 0 relu's lower part is 0, at -inf too."""
    zero = type(value)(0)
    if activation == ACTIVATION_RELU:
        below = slope * value if slope != zero else zero
        return below if value <= zero else value
    if activation == ACTIVATION_SIGMOID:
        return sigmoid(value)
    if activation == ACTIVATION_TANH:
        return tanh(value)
    return value


def store_of(tile: Tile) -> Any:
    """``store(total, shared, places, out, ...)`` for a tile: from the registers to out, through shared memory, strip after strip.

    There the groups' sums meet, and there a thread's numbers become neighbours of its neighbours': every access to out is of
    adjacent elements, at any edge.
    """
    columns, groups, part_rows = tile.columns, tile.groups, STRIP * tile.strips
    elements = tile.warps_down * STRIP * columns

    @kernel
    def store_strip(strip, shared, out, first_i, first_j, bias, activation, slope, accumulate):
        m, n = out.shape
        for element in range(thread(), elements, THREADS):
            value = shared[ptx.unsigned(element)]
            for group in range(1, groups):
                value += shared[ptx.unsigned(group * elements + element)]
            line = element // columns
            i, j = first_i + line // STRIP * part_rows + strip * STRIP + line % STRIP, first_j + element % columns
            if i < m and j < n:
                i, j = ptx.unsigned(i), ptx.unsigned(j)
                if bias.size != 0:
                    value += bias[j]
                if accumulate:
                    value += out[i, j]
                out[i, j] = activated(value, activation, slope)

    lines = ["def store(total, shared, group, row, column, lane, out, first_i, first_j, bias, activation, slope, accumulate):"]
    lines += [f"    at = group * {elements} + row // {tile.strips} * {columns} + column"]
    namespace: dict[str, Any] = {"sync": sync, "store_strip": store_strip}
    for strip in range(tile.strips):
        namespace[f"put_strip_{strip}"] = put_strip_of(tile, strip)
        lines += ["    sync()", f"    put_strip_{strip}(total, shared, at, lane)", "    sync()"]
        lines += [f"    store_strip({strip}, shared, out, first_i, first_j, bias, activation, slope, accumulate)"]
    exec("\n".join(lines), namespace)
    return kernel(namespace["store"])
