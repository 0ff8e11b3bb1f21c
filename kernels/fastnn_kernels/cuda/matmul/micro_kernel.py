"""The part of a tile that one thread computes, in registers, and how it gets from there to out."""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda.block import THREADS, thread
from fastnn_kernels.cuda.matmul.blocking import STRIP, Tile, WarpTile
from fastnn_kernels.cuda.matmul.packing import flip_of
from fastnn_kernels.cuda.target import kernel, ptx
from fastnn_kernels.cuda.vector_math import sigmoid, tanh
from fastnn_kernels.instructions import ACTIVATION_RELU, ACTIVATION_SIGMOID, ACTIVATION_TANH


def places_of(tile: Tile) -> Any:
    """``places()`` for a tile: this thread's group, the tile's rows and columns before its warp's part, and its lane there."""
    lanes, members, columns = 4 * tile.lanes_across, tile.members, 4 * tile.lanes_across
    warps_across = tile.columns // columns

    @kernel
    def places():
        member = thread() % members
        warp = member // lanes
        return thread() // members, warp // warps_across * STRIP, warp % warps_across * columns, member % lanes

    return places


def multiply_of(tile: Tile) -> Any:
    """``multiply(sums, slabs, group, row, column, lane)`` for a tile: add a slab's products to a thread's sums."""
    a_stride, b_stride = tile.rows + tile.padding, tile.columns + tile.padding
    b_first, terms_of_group, lanes_across = tile.depth * a_stride, tile.depth // tile.groups, tile.lanes_across
    flip = flip_of(tile)

    @kernel
    def multiply_term(sums, slabs, term, row, column):
        a = ptx.load4(slabs, ptx.unsigned(term * a_stride + row))
        return ptx.fma_outer(sums, a, ptx.load4(slabs, ptx.unsigned(b_first + term * b_stride + column)))

    @kernel
    def multiply(sums, slabs, group, row, column, lane):
        row, column = row + 4 * (lane // lanes_across), column + 4 * (lane % lanes_across)
        for step in range(0, terms_of_group, 4):
            term = group * terms_of_group + step
            i, j = row ^ flip(term), column ^ flip(term)
            sums = multiply_term(sums, slabs, term, i, j)
            sums = multiply_term(sums, slabs, term + 1, i, j)
            sums = multiply_term(sums, slabs, term + 2, i, j)
            sums = multiply_term(sums, slabs, term + 3, i, j)
        return sums

    return multiply


def put_sums_of(tile: Tile) -> Any:
    """``put_sums(sums, shared, at, lane)`` for a tile: a thread's sums to its warp's part of shared memory, from ``at`` on."""
    columns, lanes_across = tile.columns, tile.lanes_across

    @kernel
    def put_sums(sums, shared, at, lane):
        first = at + 4 * (lane // lanes_across * columns + lane % lanes_across)
        ptx.store4(shared, ptx.unsigned(first), sums[0:4])
        ptx.store4(shared, ptx.unsigned(first + columns), sums[4:8])
        ptx.store4(shared, ptx.unsigned(first + 2 * columns), sums[8:12])
        ptx.store4(shared, ptx.unsigned(first + 3 * columns), sums[12:16])

    return put_sums


@kernel
def unchanged(value, a, b, i, j, transpose_a, transpose_b):
    """The element (i, j) of the product, as it was computed."""
    return value


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


@kernel
def finish(value, out, i, j, bias, activation, slope, accumulate):
    """Write an element of the product to out with what follows: the bias, the old value, the activation."""
    i, j = ptx.unsigned(i), ptx.unsigned(j)
    if ptx.address_of(bias) != ptx.unsigned(0):  # bias.size would need registers for the whole product
        value += bias[j]
    if accumulate:
        value += out[i, j]
    out[i, j] = activated(value, activation, slope)


def store_of(tile: Tile | WarpTile, repaired: Any) -> Any:
    """``store(shared, a, b, out, ...)`` for a tile: its sums from shared memory to out.

    Neighbouring threads have neighbouring elements of out, at any edge. ``repaired``: what the element of the product is, given
    what was computed.
    """
    columns, elements = tile.columns, tile.rows * tile.columns

    @kernel
    def store(shared, a, b, out, transpose_a, transpose_b, first_i, first_j, bias, activation, slope, accumulate):
        m, n = out.shape
        activation, accumulate = ptx.again(ptx.int32(activation)), ptx.again(ptx.int32(accumulate))
        for element in range(thread(), elements, THREADS):
            i, j = first_i + element // columns, first_j + element % columns
            if i < m and j < n:
                value = repaired(shared[ptx.unsigned(element)], a, b, i, j, transpose_a, transpose_b)
                finish(value, out, i, j, bias, activation, slope, accumulate)

    return store
