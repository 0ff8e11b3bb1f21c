"""The part of a tile that one thread computes, in registers: quads of rows and columns that lie apart, so that neighbouring threads
read neighbouring quads."""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, WARP, sync, thread
from fastnn_kernels.cuda.matmul.blocking import Tile
from fastnn_kernels.cuda.target import kernel, ptx
from fastnn_kernels.cuda.vector_math import sigmoid, tanh
from fastnn_kernels.instructions import ACTIVATION_RELU, ACTIVATION_SIGMOID, ACTIVATION_TANH


def thread_places_of(tile: Tile) -> Any:
    """``thread_places()`` for a tile: this thread's group, and its first row and column of the tile."""
    lanes_across = min(8, tile.across)
    lanes_down = min(WARP // lanes_across, tile.down)
    lanes, warps_across, members = lanes_across * lanes_down, tile.across // lanes_across, tile.across * tile.down

    @kernel
    def thread_places():
        member = thread() % members
        warp, lane = member // lanes, member % lanes
        row = (warp // warps_across) * lanes_down + lane // lanes_across
        column = (warp % warps_across) * lanes_across + lane % lanes_across
        return thread() // members, 4 * row, 4 * column

    return thread_places


def _loader(count: int, distance: int) -> Any:
    @kernel
    def load_quad(slab, at):
        return ptx.load4(slab, ptx.unsigned(at))

    @kernel
    def load_two_quads(slab, at):
        return ptx.load4(slab, ptx.unsigned(at)) + ptx.load4(slab, ptx.unsigned(at + distance))

    return load_quad if count == 4 else load_two_quads


def multiply_of(tile: Tile) -> Any:
    """``multiply(total, slabs, b_first, group, row, column)`` for a tile: add the products of a slab's terms to a thread's sums."""
    load_rows, load_columns = _loader(tile.rows, tile.side // 2), _loader(tile.columns, tile.side // 2)
    stride, groups, depth = tile.stride, tile.groups, tile.depth

    @kernel
    def multiply_term(total, slabs, b_first, term, row, column):
        a, b = load_rows(slabs, term * stride + row), load_columns(slabs, b_first + term * stride + column)
        return ptx.fma_outer(total, a, b)

    @kernel
    def multiply(total, slabs, b_first, group, row, column):
        for step in range(0, depth // groups, 4):
            term = group + step * groups
            total = multiply_term(total, slabs, b_first, term, row, column)
            total = multiply_term(total, slabs, b_first, term + groups, row, column)
            total = multiply_term(total, slabs, b_first, term + 2 * groups, row, column)
            total = multiply_term(total, slabs, b_first, term + 3 * groups, row, column)
        return total

    return multiply


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
    """``store(total, slabs, group, row, column, out, ...)`` for a tile: from the registers to out, through shared memory.

    There the groups' sums meet, and there a thread's numbers become neighbours of its neighbours': every access to out is of
    adjacent elements, at any edge. Slices of the tile's rows follow one another.
    """
    side, groups, slice_rows, row_quads = tile.side, tile.groups, tile.slice_rows, tile.rows // 4
    elements = tile.down * slice_rows * side

    def put_slice(first_row: int) -> Any:
        lines = ["def put(total, shared, at):"]
        for row in range(slice_rows):
            for column in range(0, tile.columns, 4):
                start = (first_row + row) * tile.columns + column
                offset = row * side + column // 4 * (side // 2)
                lines.append(f"    ptx.store4(shared, ptx.unsigned(at + {offset}), total[{start}:{start + 4}])")
        namespace: dict[str, Any] = {"ptx": ptx}
        exec("\n".join(lines), namespace)
        return kernel(namespace["put"])

    @kernel
    def store_slice(first_row, shared, out, m, n, first_i, first_j, bias, activation, slope, accumulate):
        for element in range(thread(), elements, THREADS):
            value = shared[ptx.unsigned(element)]
            for group in range(1, groups):
                value += shared[ptx.unsigned(group * elements + element)]
            line, column = element // side, element % side
            row = first_row + line % slice_rows
            i, j = first_i + row // 4 * (side // row_quads) + 4 * (line // slice_rows) + row % 4, first_j + column
            if i < m and j < n:
                at = ptx.unsigned(i * n + j)
                if bias.size != 0:
                    value += bias[ptx.unsigned(j)]
                if accumulate:
                    value += out[at]
                out[at] = activated(value, activation, slope)

    lines = ["def store(total, shared, group, row, column, out, m, n, first_i, first_j, bias, activation, slope, accumulate):"]
    lines += [f"    at = (group * {tile.down} + row // 4) * {slice_rows * side} + column"]
    namespace: dict[str, Any] = {"sync": sync, "store_slice": store_slice}
    for first_row in range(0, tile.rows, slice_rows):
        namespace[f"put_{first_row}"] = put_slice(first_row)
        lines += ["    sync()", f"    put_{first_row}(total, shared, at)", "    sync()"]
        lines += [f"    store_slice({first_row}, shared, out, m, n, first_i, first_j, bias, activation, slope, accumulate)"]
    exec("\n".join(lines), namespace)
    return kernel(namespace["store"])
