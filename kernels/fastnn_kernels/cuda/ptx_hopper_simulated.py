"""The Python twin of `ptx_hopper`: the same names, for the threads of `simulator`.

Boxes come when no thread can go on without them; products are done when somebody waits for them. Shared memory is swizzled by the
bits of its addresses, and descriptors are read as the hardware does, so a wrong one gives wrong numbers.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.cuda.simulator import Block, local
from fastnn_kernels.cuda.tensor_map import BOX_COLUMNS, TensorMap

WARPGROUP = 128
SWIZZLE_BYTES = 128

BASE = 16
"""Where shared memory begins: no multiple of what a swizzle needs."""


def shared_memory() -> int:
    return BASE


def counted(value: int) -> int:
    return value


def cluster_rank() -> int:
    return local.block.rank


def cluster_sync() -> None:
    block = local.block
    block.turns.meet("cluster", len(block.cluster) * block.threads)


@dataclass
class Barrier:
    """``arrivals`` and ``count``, of bytes, that its phase still waits for."""

    each: int
    arrivals: int
    count: int = 0
    phase: int = 0

    def change(self, block: Block, arrivals: int, count: int) -> None:
        """Some arrive; bytes are announced, or come."""
        if arrivals > self.arrivals:
            raise RuntimeError("more threads arrive at a barrier than it was made for")
        self.arrivals, self.count = self.arrivals - arrivals, self.count + count
        if self.arrivals == 0 and self.count == 0:
            self.arrivals, self.phase = self.each, self.phase + 1
            block.turns.wake(self._key(block))

    def wait(self, block: Block, parity: int) -> None:
        while self.phase % 2 == parity:
            block.turns.sleep(self._key(block))

    def _key(self, block: Block) -> tuple[Any, ...]:
        return "barrier", block.rank, id(self)


def barrier_init(barrier: int, arrivals: int) -> None:
    local.block.barriers[int(barrier)] = Barrier(int(arrivals), int(arrivals))


def barriers_ready() -> None:
    pass


def barrier_expect(barrier: int, count: int) -> None:
    local.block.barriers[int(barrier)].change(local.block, 1, int(count))


def barrier_arrive(barrier: int, rank: int, blocks: int) -> None:
    if rank < blocks:
        block = local.block.cluster[int(rank)]
        block.barriers[int(barrier)].change(block, 1, 0)


def barrier_wait(barrier: int, parity: int) -> None:
    local.block.barriers[int(barrier)].wait(local.block, int(parity))


def swizzled(addresses: NDArray) -> NDArray:
    """Bits 4 to 6 are exchanged by bits 7 to 9."""
    return addresses ^ (addresses >> 7 & 7) << 4


def load_box(target: int, tensor_map: TensorMap, row: int, column: int, barrier: int) -> None:
    load_box_to(target, tensor_map, row, column, barrier, 1 << local.block.rank)


def load_box_to(target: int, tensor_map: TensorMap, row: int, column: int, barrier: int, blocks: int) -> None:
    box = box_of(tensor_map, int(row), int(column))
    if int(target) % (8 * SWIZZLE_BYTES):
        raise RuntimeError(f"a swizzled box at {target}, no multiple of {8 * SWIZZLE_BYTES}")
    places = swizzled(int(target) + np.arange(box.size)) - BASE
    for block in local.block.cluster:
        if int(blocks) >> block.rank & 1:
            block.turns.later(lambda block=block: _arrive(block, places, box, int(barrier)))


def box_of(tensor_map: TensorMap, row: int, column: int) -> NDArray[np.uint8]:
    """The bytes of a box, zeros beyond the matrix."""
    rows, columns = tensor_map.rows, tensor_map.columns
    matrix = np.asarray((ctypes.c_uint16 * (rows * columns)).from_address(tensor_map.address)).reshape(rows, columns)
    found = matrix[row : row + tensor_map.box_rows, column : column + BOX_COLUMNS]
    box = np.zeros((tensor_map.box_rows, BOX_COLUMNS), np.uint16)
    box[: found.shape[0], : found.shape[1]] = found
    return box.reshape(-1).view(np.uint8)


def _arrive(block: Block, places: NDArray, box: NDArray[np.uint8], barrier: int) -> None:
    block.dynamic[places] = box
    block.barriers[barrier].change(block, 0, -box.size)


def fewer_registers(count: int) -> None:
    pass


more_registers = fewer_registers


@dataclass
class Products:
    """A warpgroup's sums, and the products that were begun: descriptors and layouts."""

    sums: NDArray[np.float32]
    given: list[Any]
    begun: list[tuple[int, int, int, int]] = field(default_factory=list)

    def finish(self, memory: NDArray[np.uint8], left: int) -> None:
        """All but the last ``left`` of what was begun."""
        while len(self.begun) > left:
            a, b, a_by_terms, b_by_terms = self.begun.pop(0)
            columns = 2 * self.sums.shape[1]
            for step in range(4):
                a_part = operand(memory, a + step * (128 if a_by_terms else 2), 64, bool(a_by_terms))
                b_part = operand(memory, b + step * (128 if b_by_terms else 2), columns, bool(b_by_terms))
                self.sums += (a_part.astype(np.float64) @ b_part.T.astype(np.float64))[places_of_sums(columns)]


def operand(memory: NDArray[np.uint8], descriptor: int, items: int, by_terms: bool) -> NDArray[np.float32]:
    """``items`` x 16 numbers of shared memory; PTX ISA, "Shared Memory Matrix Layout"."""
    start, leading, stride = ((descriptor >> bit & 0x3FFF) << 4 for bit in (0, 16, 32))
    if descriptor >> 62 != 1 or descriptor >> 49 & 7:
        raise RuntimeError("a descriptor of another swizzle than 128 bytes, or of another base")
    item, term = np.arange(items)[:, None], np.arange(16)[None, :]
    if by_terms:
        addresses = start + item // 64 * leading + item % 64 * 2 + term // 8 * stride + term % 8 * SWIZZLE_BYTES
    else:
        addresses = start + item // 8 * stride + item % 8 * SWIZZLE_BYTES + term * 2
    bits = memory[swizzled(addresses) - BASE] | memory[swizzled(addresses) - BASE + 1].astype(np.uint32) << 8
    return (bits << 16).view(np.float32)


def places_of_sums(columns: int) -> tuple[NDArray, NDArray]:
    """Rows and columns of the numbers of the threads of a warpgroup."""
    thread, number = np.arange(WARPGROUP)[:, None], np.arange(columns // 2)[None, :]
    row = thread // 32 * 16 + thread % 32 // 4 + number // 2 % 2 * 8
    return row, number // 4 * 8 + thread % 4 * 2 + number % 2


def _warpgroup() -> range:
    first = local.thread // WARPGROUP * WARPGROUP
    return range(first, first + WARPGROUP)


def multiply_slab(sums: tuple[Any, ...], a: int, b: int, a_by_terms: int, b_by_terms: int) -> tuple[Any, ...]:
    block, members, begun = local.block, _warpgroup(), (int(a), int(b), int(a_by_terms), int(b_by_terms))
    block.values[local.thread] = sums, begun
    block.wait(members)
    if local.thread == members[0]:
        given = [block.values[thread] for thread in members]
        if any(other != begun for _, other in given):
            raise RuntimeError("the threads of a warpgroup multiply different slabs")
        if members not in block.products:
            block.products[members] = Products(np.array([numbers for numbers, _ in given]), [numbers for numbers, _ in given])
        products = block.products[members]
        if any(numbers is not before for (numbers, _), before in zip(given, products.given, strict=True)):
            raise RuntimeError("sums changed while their products were under way")
        products.begun.append(begun)
        products.finish(block.dynamic, 1)
    block.wait(members)
    return sums


def products_done(sums: tuple[Any, ...]) -> tuple[Any, ...]:
    block, members = local.block, _warpgroup()
    block.wait(members)
    if local.thread == members[0]:
        block.products[members].finish(block.dynamic, 0)
    block.wait(members)
    result = tuple(block.products[members].sums[local.thread - members[0]])
    block.wait(members)
    block.products.pop(members, None)
    return result
