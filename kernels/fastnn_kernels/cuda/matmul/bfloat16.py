"""Products of bfloat16 numbers on tensor cores, from sm_80: float32 sums in registers, slabs on their way in several stages."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn_kernels.cuda.block import WARP, sync, thread
from fastnn_kernels.cuda.matmul.blocking import BFLOAT16_DEPTH, BFLOAT16_STRIP, STAGES, Bfloat16Tile
from fastnn_kernels.cuda.matmul.micro_kernel import finish
from fastnn_kernels.cuda.matmul.slabs import TERMS, copier_of, loader_of, place_of
from fastnn_kernels.cuda.matmul.tensor_cores import places_of, put_sums_of
from fastnn_kernels.cuda.quads import defined, flat
from fastnn_kernels.cuda.target import kernel, ptx

AHEAD = STAGES - 1
STILL_AWAY = AHEAD - 1
"""Slabs that are on their way, at most, and while one is read."""


def _sums_of(tile: Bfloat16Tile, a_along_terms: bool, b_along_terms: bool) -> Any:
    """``sums(a, b, slabs, first_i, first_j, first, stop)`` for one way in which the operands lie in memory: see `slabs`."""
    rows, columns, count, depth = tile.rows, tile.columns, tile.sums, tile.depth
    copy_a, copy_b = copier_of(rows, a_along_terms), copier_of(columns, b_along_terms)
    place_a, place_b = place_of(rows, a_along_terms, rows=True), place_of(columns, b_along_terms, rows=False)
    stage = depth * (rows + columns)
    ahead, end, away, b_first = AHEAD * stage, STAGES * stage, AHEAD * depth, depth * rows
    places, multiply = places_of(tile), multiply_of(tile, a_along_terms, b_along_terms)

    @kernel
    def sums_of_terms(a, b, slabs, first_i, first_j, first, stop):
        """While a slab's products are computed, the next ones are on their way. Counters have 32 bits: registers are scarce."""
        x, y, (_, row, column, lane) = flat(a), flat(b), places()
        a_place, b_place = place_a(row, lane), place_b(column, lane)
        sums = ptx.zeros(np.float32, count)
        now = ptx.int32(stage)
        for term in range(ptx.int32(0), ptx.int32(stop - first + away), ptx.int32(depth)):
            if term >= away:
                ptx.copies_wait(STILL_AWAY)
                sync()
            later = ptx.int32(now + ahead if now + ahead < end else now + ahead - end)
            copy_a(x, a.shape, first_i, first + term, slabs, later)
            copy_b(y, b.shape, first_j, first + term, slabs, later + b_first)
            ptx.copies_commit()
            if term >= away:
                sums = multiply(sums, slabs, now, now + b_first, a_place, b_place)
            now = ptx.int32(now + stage if now + stage < end else 0)
        ptx.copies_wait(0)
        sync()
        return sums

    return sums_of_terms


def sums_of(tile: Bfloat16Tile) -> Any:
    """``sums(a, b, shared, transpose_a, transpose_b, first_i, first_j, first, stop)`` of a thread for a tile, in registers."""
    plain, turned_b = _sums_of(tile, True, False), _sums_of(tile, True, True)
    turned_a, turned = _sums_of(tile, False, False), _sums_of(tile, False, True)

    @kernel
    def sums(a, b, shared, transpose_a, transpose_b, first_i, first_j, first, stop):
        slabs = ptx.short_words(shared)
        if transpose_a:
            if transpose_b:
                return turned(a, b, slabs, first_i, first_j, first, stop)
            return turned_a(a, b, slabs, first_i, first_j, first, stop)
        if transpose_b:
            return turned_b(a, b, slabs, first_i, first_j, first, stop)
        return plain(a, b, slabs, first_i, first_j, first, stop)

    return sums


def bfloat16_sum_of(tile: Bfloat16Tile) -> Any:
    """``sum_terms(a, ...)`` for `split.product_of`."""
    columns, sums, places, put_sums = tile.columns, sums_of(tile), places_of(tile), put_sums_of(tile)

    @kernel
    def sum_terms(a, b, shared, transpose_a, transpose_b, precision, first_i, first_j, first, stop):
        found = sums(a, b, shared, transpose_a, transpose_b, first_i, first_j, first, stop)
        _, row, column, lane = places()
        put_sums(found, shared, row * columns + column, lane)

    return sum_terms


def _product_of(tile: Bfloat16Tile, a_along_terms: bool, b_along_terms: bool) -> Any:
    """``product(a, b, bias, shared, out, ..., workers)`` for one way in which the operands lie in memory."""
    rows, columns, sums, store = tile.rows, tile.columns, _sums_of(tile, a_along_terms, b_along_terms), store_of(tile)
    terms_axis = int(a_along_terms)

    @kernel
    def tile_place(number, n):
        """Where a tile begins in out; divided anew, as in `split`."""
        across = ptx.again(ptx.int32((n + columns - 1) // columns))
        return ptx.int32(number // across * rows), ptx.int32(number % across * columns)

    @kernel
    def product(a, b, bias, shared, out, activation, slope, accumulate, worker, workers):
        m, n = out.shape
        tiles = (m + rows - 1) // rows * ((n + columns - 1) // columns)
        for number in range(ptx.int32(worker), ptx.int32(tiles), ptx.int32(workers)):
            first_i, first_j = tile_place(number, n)
            found = sums(a, b, ptx.short_words(shared), first_i, first_j, ptx.int32(0), ptx.int32(a.shape[terms_axis]))
            first_i, first_j = tile_place(ptx.again(number), n)
            store(found, shared, out, first_i, first_j, bias, activation, slope, accumulate)
            sync()

    return product


def bfloat16_product_of(tile: Bfloat16Tile) -> Any:
    """``product(a, b, ..., workers)`` for a tile whose sums do not fit shared memory, and whose terms are not split."""
    plain, turned_b, turned_a, turned = (
        _product_of(tile, a_along, b_along) for a_along in (True, False) for b_along in (False, True)
    )

    @kernel
    def product(a, b, bias, shared, out, transpose_a, transpose_b, activation, slope, accumulate, worker, workers):
        if transpose_a and transpose_b:
            turned(a, b, bias, shared, out, activation, slope, accumulate, worker, workers)
        elif transpose_a:
            turned_a(a, b, bias, shared, out, activation, slope, accumulate, worker, workers)
        elif transpose_b:
            turned_b(a, b, bias, shared, out, activation, slope, accumulate, worker, workers)
        else:
            plain(a, b, bias, shared, out, activation, slope, accumulate, worker, workers)

    return product


def multiply_of(tile: Bfloat16Tile, a_along_terms: bool, b_along_terms: bool) -> Any:
    """``multiply(sums, slabs, a_first, b_first, a_place, b_place)`` for a tile: add a slab's products to a warp's sums."""
    lines, names = ["def multiply(sums, slabs, a_first, b_first, a_place, b_place):"], {"ptx": ptx}
    for step in range(BFLOAT16_DEPTH // TERMS):
        names[f"load_a{step}"] = loader_of(tile.rows, a_along_terms, tile.warp_rows // TERMS, step)
        names[f"load_b{step}"] = loader_of(tile.columns, b_along_terms, tile.warp_columns // TERMS, step)
        loads = f"load_a{step}(slabs, a_first, a_place), load_b{step}(slabs, b_first, b_place)"
        lines.append(f"    sums = ptx.mma_bfloat16(sums, {loads})")
    return defined("\n".join([*lines, "    return sums"]), **names)


def store_of(tile: Bfloat16Tile) -> Any:
    """``store(sums, shared, out, first_i, first_j, ...)`` for a tile: a warp's sums to its part of out's tile from there on.

    They go there strip by strip through shared memory, where each warp has a place of its own: then neighbouring threads have
    neighbouring elements of out, at any edge.
    """
    stride, elements, width = tile.strip_stride, tile.strip_elements, tile.warp_columns
    strip_sums, places = BFLOAT16_STRIP * width // WARP, places_of(tile)

    @kernel
    def store_strip(shared, out, first_i, first_j, bias, activation, slope, accumulate):
        first, (_, warp_row, warp_column, lane) = thread() // WARP * elements, places()
        ptx.sync_warp()
        for element in range(lane, BFLOAT16_STRIP * width, WARP):
            row, column = element // width, element % width
            i, j = first_i + warp_row + row, first_j + warp_column + column
            if i < out.shape[0] and j < out.shape[1]:
                finish(shared[ptx.unsigned(first + row * stride + column)], out, i, j, bias, activation, slope, accumulate)
        ptx.sync_warp()

    lines = ["def store(sums, shared, out, i, j, bias, activation, slope, accumulate):", f"    lane = thread() % {WARP}"]
    lines.append(f"    at = thread() // {WARP} * {elements} + lane // 4 * {stride} + lane % 4 * 2")
    for strip in range(tile.warp_rows // BFLOAT16_STRIP):
        for place in range(strip_sums):
            upper, number = divmod(place, strip_sums // 2)  # tiles are 16 x 8; see `ptx.mma_tf32`
            distance = (upper * 16 + number % 4 // 2 * 8) * stride + number // 4 * 8 + number % 2
            lines.append(f"    shared[ptx.unsigned(at + {distance})] = sums[{strip * strip_sums + place}]")
        lines.append(f"    store_strip(shared, out, i + {strip * BFLOAT16_STRIP}, j, bias, activation, slope, accumulate)")
    return defined("\n".join(lines), ptx=ptx, thread=thread, store_strip=store_strip)
