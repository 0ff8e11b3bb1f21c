"""Products of bfloat16 on Hopper's warpgroups: one loads, two multiply, and blocks stay for many tiles. See `ring`.

A stage of the ring has two barriers: *full*, when all bytes of its slab have come, and *empty*, when the warps that multiply, in
all blocks of the cluster, are done with it; both change phase once a round of the ring.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn_kernels.cuda.matmul.micro_kernel import activated
from fastnn_kernels.cuda.matmul.ring import (
    ALIGNMENT,
    CONSUMER_REGISTERS,
    ITEMS,
    LINE,
    LOAD_BYTES,
    PRODUCER_REGISTERS,
    RING,
    WARPGROUP,
    Ring,
)
from fastnn_kernels.cuda.quads import defined, flat
from fastnn_kernels.cuda.target import hopper, kernel, ptx
from fastnn_kernels.instructions import ACTIVATION_LINEAR, ACTIVATION_RELU

LINES_BYTES = 8 * 2 * LINE
"""Eight lines of shared memory, after which the swizzle repeats."""

PANEL_BYTES = LINE * 2 * LINE
"""64 items of a slab, either way."""

DESCRIPTOR = 1 << 62 | LINES_BYTES // 16 << 32 | PANEL_BYTES // 16 << 16
"""Of a slab for `hopper.multiply_slab`, without its address: a swizzle of 128 bytes; from eight items, or by terms eight terms, to
the next, and by terms from 64 items to the next. CUTLASS, mma_sm90_desc.hpp."""


def tiles_of(ring: Ring) -> tuple[Any, Any]:
    """``numbers``, of the clusters of tiles that a block works on, and ``place``, where such a number's tile begins."""
    cluster, rows, columns, group = ring.cluster, ring.rows, ring.columns, ring.group

    @kernel
    def numbers(out, worker, workers):
        m, n = out.shape
        clusters = (m + cluster * rows - 1) // (cluster * rows) * ((n + columns - 1) // columns)
        return range(worker // cluster, clusters, workers // cluster)

    @kernel
    def place(out, number, rank):
        m, n = out.shape
        down, across = (m + cluster * rows - 1) // (cluster * rows), (n + columns - 1) // columns
        above = number // (group * across) * group
        height = min(group, down - above)
        inside = number % (group * across)
        return ((above + inside % height) * cluster + rank) * rows, inside // height * columns

    return numbers, place


@kernel
def load(target, tensor_map, by_terms, item, term, full):
    """128 items of a slab, in one box or two."""
    if by_terms:
        hopper.load_box(target, tensor_map, term, item, full)
        hopper.load_box(target + PANEL_BYTES, tensor_map, term, item + LINE, full)
    else:
        hopper.load_box(target, tensor_map, item, term, full)


def load_for_all_of(cluster: int) -> Any:
    """`load` for all blocks of a cluster."""
    if cluster == 1:
        return load
    all_blocks = (1 << cluster) - 1

    @kernel
    def load_for_all(target, tensor_map, by_terms, item, term, full):
        if by_terms:
            hopper.load_box_to(target, tensor_map, term, item, full, all_blocks)
            hopper.load_box_to(target + PANEL_BYTES, tensor_map, term, item + LINE, full, all_blocks)
        else:
            hopper.load_box_to(target, tensor_map, item, term, full, all_blocks)

    return load_for_all


def producer_of(ring: Ring) -> Any:
    """``produce(...)`` for a ring: one thread loads the slabs of all of the block's tiles, b's for the whole cluster."""
    (numbers, place), stages, stage_bytes = tiles_of(ring), ring.stages, ring.stage_bytes
    cluster, loads, load_for_all = ring.cluster, ring.loads, load_for_all_of(ring.cluster)

    @kernel
    def produce(slabs, barriers, out, terms, a_map, b_map, a_by_terms, b_by_terms, rank, worker, workers):
        stage, parity = 0, 1
        for number in numbers(out, worker, workers):
            first_i, first_j = place(out, number, rank)
            term = 0
            while term < terms:
                target, full = slabs + stage * stage_bytes, barriers + 8 * stage
                hopper.barrier_wait(full + 8 * stages, parity)
                hopper.barrier_expect(full, stage_bytes)
                load(target, a_map, a_by_terms, first_i, term, full)
                for turn in range(loads // cluster):
                    part = turn * cluster + rank
                    load_for_all(target + (1 + part) * LOAD_BYTES, b_map, b_by_terms, first_j + part * ITEMS, term, full)
                term, stage = hopper.counted(term + LINE), stage + 1
                if stage == stages:
                    stage, parity = 0, parity ^ 1

    return produce


def multiplier_of(ring: Ring, a_by_terms: int, b_by_terms: int) -> Any:
    """``multiply(...)`` for a ring and slabs that lie in one of four ways: all terms of a tile, the next stages of the ring.

    A stage is given back when the products of the one after it have begun, so that two are under way.
    """
    stages, stage_bytes, cluster = ring.stages, ring.stage_bytes, ring.cluster

    @kernel
    def multiply(sums, slabs, barriers, terms, stage, parity, group):
        last, term, lane = stage, 0, ptx.thread() % ptx.WARP
        while True:  # at least once: a sum that is set beside the loop would make the assembler wait for each product
            hopper.barrier_wait(barriers + 8 * stage, parity)
            slab = slabs + stage * stage_bytes
            a, b = DESCRIPTOR | (slab + group * PANEL_BYTES) >> 4, DESCRIPTOR | (slab + LOAD_BYTES) >> 4
            sums = hopper.multiply_slab(sums, a, b, a_by_terms, b_by_terms)
            hopper.barrier_arrive(barriers + 8 * (stages + last), lane, cluster if term > 0 else 0)
            last, stage, term = stage, stage + 1, term + LINE
            if stage == stages:
                stage, parity = 0, parity ^ 1
            if term >= terms:
                break
        sums = hopper.products_done(sums)
        hopper.barrier_arrive(barriers + 8 * (stages + last), lane, cluster)
        return sums, stage, parity

    return multiply


@kernel
def plus_bias(value, bias, j):
    """``value + bias[j]``, where there is such an element."""
    return value + bias[ptx.unsigned(j)] if j < bias.size else value


@kernel
def put_pair(out, i, j, first, second, slope, accumulate):
    """Two neighbouring elements of out, of which there is an even number in a row; relu where slope is not 1."""
    m, n = out.shape
    if i < m and j < n:
        x, at = flat(out), ptx.unsigned(i * n + j)
        if accumulate:
            old = ptx.load2(x, at)
            first, second = first + old[0], second + old[1]
        ptx.store2(x, at, (sloped(first, slope), sloped(second, slope)))


@kernel
def sloped(value, slope):
    """``value`` where it is positive, else ``slope`` times it; 0 with a slope of 0, at -inf too."""
    below = slope * value if slope != np.float32(0) else np.float32(0)
    return below if value <= np.float32(0) else value


@kernel
def activate_pair(out, i, j, activation, slope):
    """The activation of two elements that this thread has put before."""
    m, n = out.shape
    if i < m and j < n:
        x, at = flat(out), ptx.unsigned(i * n + j)
        pair = ptx.load2(x, at)
        ptx.store2(x, at, (activated(pair[0], activation, slope), activated(pair[1], activation, slope)))


def finisher_of(ring: Ring) -> Any:
    """``finish(...)`` for a ring: from a thread's sums to out, in pairs; relu on the way, other activations in a second pass."""
    columns = ring.columns
    biased = ", ".join(f"plus_bias(sums[{number}], bias, j + {number // 4 * 8 + number % 2})" for number in range(columns // 2))
    add_bias = defined(f"def add_bias(sums, bias, j):\n    return ({biased})", plus_bias=plus_bias)
    lines = ["def put(sums, out, i, j, slope, accumulate):"]
    for n in range(columns // 8):
        for h in (0, 1):
            pair = f"sums[{4 * n + 2 * h}], sums[{4 * n + 2 * h + 1}]"
            lines.append(f"    put_pair(out, i + {8 * h}, j + {8 * n}, {pair}, slope, accumulate)")
    put = defined("\n".join(lines), put_pair=put_pair)

    @kernel
    def finish(sums, out, bias, i, j, activation, slope, accumulate):
        if bias.size != 0:
            sums = add_bias(sums, bias, j)
        put(sums, out, i, j, slope if activation == ACTIVATION_RELU else np.float32(1), accumulate)
        if activation != ACTIVATION_RELU and activation != ACTIVATION_LINEAR:
            for n in range(0, columns, 8):
                activate_pair(out, i, j + n, activation, slope)
                activate_pair(out, i + 8, j + n, activation, slope)

    return finish


def consumer_of(ring: Ring) -> Any:
    """``consume(...)`` for a ring: a warpgroup's half of the block's tiles."""
    numbers, place = tiles_of(ring)
    multiply_00, multiply_01, multiply_10, multiply_11 = (multiplier_of(ring, a, b) for a in (0, 1) for b in (0, 1))
    sums_of_thread, finish = ring.columns // 2, finisher_of(ring)

    @kernel
    def consume(slabs, barriers, out, terms, a_by_terms, b_by_terms, bias, activation, slope, accumulate, rank, worker, workers):
        group, stage, parity = ptx.thread() // WARPGROUP - 1, 0, 0
        for number in numbers(out, worker, workers):
            sums = ptx.zeros(np.float32, sums_of_thread)
            if a_by_terms:
                if b_by_terms:
                    sums, stage, parity = multiply_11(sums, slabs, barriers, terms, stage, parity, group)
                else:
                    sums, stage, parity = multiply_10(sums, slabs, barriers, terms, stage, parity, group)
            elif b_by_terms:
                sums, stage, parity = multiply_01(sums, slabs, barriers, terms, stage, parity, group)
            else:
                sums, stage, parity = multiply_00(sums, slabs, barriers, terms, stage, parity, group)
            first_i, first_j = place(out, number, rank)
            warp, lane = ptx.thread() % WARPGROUP // ptx.WARP, ptx.thread() % ptx.WARP
            i, j = first_i + group * (ITEMS // 2) + warp * 16 + lane // 4, first_j + lane % 4 * 2
            finish(sums, out, bias, i, j, activation, slope, accumulate)

    return consume


def starter_of(ring: Ring) -> Any:
    """``start(barriers)`` for a ring: the first thread makes the barriers, for all blocks of the cluster to see."""
    stages, consumers = ring.stages, ring.cluster * 2 * WARPGROUP // ptx.WARP

    @kernel
    def start(barriers):
        if ptx.thread() == 0:
            for stage in range(stages):
                hopper.barrier_init(barriers + 8 * stage, 1)
                hopper.barrier_init(barriers + 8 * (stages + stage), consumers)
            hopper.barriers_ready()
        hopper.cluster_sync()

    return start


def product_of(ring: Ring) -> Any:
    """The kernel for a ring. Boxes of the maps of a and b are 128 items by 64 terms, or 64 terms by 64 items: see `variants`."""
    start, produce, consume, slabs_bytes = starter_of(ring), producer_of(ring), consumer_of(ring), ring.stages * ring.stage_bytes

    @kernel
    def matmul_bfloat16(a, b, bias, scratch, out, ta, tb, activation, slope, accumulate, precision, a_map, b_map, worker, workers):
        slabs = (hopper.shared_memory() + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        barriers, rank, me = slabs + slabs_bytes, hopper.cluster_rank(), ptx.thread()
        terms, slope = a.shape[0] if ta else a.shape[1], np.float32(slope)
        start(barriers)
        if me < WARPGROUP:
            hopper.fewer_registers(PRODUCER_REGISTERS)
            if me == 0:
                produce(slabs, barriers, out, terms, a_map, b_map, ta, not tb, rank, worker, workers)
        else:
            hopper.more_registers(CONSUMER_REGISTERS)
            consume(slabs, barriers, out, terms, ta, not tb, bias, activation, slope, accumulate, rank, worker, workers)
        hopper.cluster_sync()

    return matmul_bfloat16


matmul_bfloat16 = product_of(RING)
