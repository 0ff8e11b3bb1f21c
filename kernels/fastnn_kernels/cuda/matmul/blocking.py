"""Tiles of `matmul`: plain numbers. Which one is used follows from the shape alone, so the result does too."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn_kernels.cuda.block import THREADS

BANKS = 32
"""Of shared memory."""

STRIP = 16
"""Rows of out that a warp works on: four threads below each other have four rows each."""


@dataclass(frozen=True, slots=True)
class Tile:
    """``rows`` x ``columns`` of out, computed by a block at a time; ``padding``: see `packing`.

    A thread has four rows and four columns of it in registers; up to 4 x 8 threads of a warp lie side by side. Threads that are
    left over make further groups, which share out the terms: their sums are added in order.
    """

    rows: int
    columns: int
    padding: int

    @property
    def lanes_across(self) -> int:
        """Threads of a warp side by side."""
        return min(8, self.columns // 4)

    @property
    def members(self) -> int:
        """Threads of a group."""
        return self.rows * self.columns // STRIP

    @property
    def groups(self) -> int:
        """Groups of threads in a block."""
        return THREADS // self.members

    @property
    def depth(self) -> int:
        """Terms in shared memory at a time: each thread brings two quads of a, and as many of b as that makes."""
        return 8 * THREADS // self.rows

    @property
    def shared_elements(self) -> int:
        """Elements of shared memory: a slab of ``depth`` terms of a and one of b."""
        return self.depth * (self.rows + self.columns + 2 * self.padding)

    def flip(self, term: int) -> int:
        """By which bits the items of a term are exchanged: see `packing`."""
        return term // (BANKS // self.padding) % (self.padding // 2) * 8


@dataclass(frozen=True, slots=True)
class TensorTile:
    """``rows`` x ``columns`` of out for products of bfloat16 on tensor cores; each warp has ``warp_rows`` x ``warp_columns``."""

    rows: int
    columns: int
    warp_rows: int
    warp_columns: int

    @property
    def warps_across(self) -> int:
        """Warps side by side."""
        return self.columns // self.warp_columns

    @property
    def sums(self) -> int:
        """Sums in the registers of a thread."""
        return self.warp_rows * self.warp_columns // 32

    @property
    def strip_stride(self) -> int:
        """Floats from row to row of a strip on its way to out: what is written at a time lies in different banks."""
        return self.warp_columns + 8

    @property
    def strip_elements(self) -> int:
        """Floats of shared memory for each warp's strip."""
        return HALF_STRIP * self.strip_stride

    @property
    def shared_elements(self) -> int:
        """Floats of shared memory: `STAGES` slabs of a and of b, and later the strips."""
        slabs = STAGES * HALF_DEPTH * (self.rows + self.columns) // 2
        return max(slabs, THREADS // 32 * self.strip_elements)


HALF_DEPTH, STAGES = 32, 3
"""Terms of a slab of bfloat16, and slabs that are in shared memory at a time: one is read, the others are on their way."""

HALF_STRIP = 32
"""Rows of a warp's part that go to out at a time."""

SIZES = {256: ((64, 64, 8), (16, 16, 4)), 32: ((16, 32, 4), (16, 16, 4))}
"""The tiles by the threads of a block: 256 on a GPU, 32 in the simulator."""

LARGE, SMALL = (Tile(*sizes) for sizes in SIZES[THREADS])
"""Large tiles read a and b less often; small ones are more, so that more blocks have work, and split a sum among more threads."""

ENOUGH_TILES = 64 if THREADS == 256 else 4
"""Large tiles that keep half of a GPU's multiprocessors busy; in the simulator few, so that tests reach both."""

HALF_SIZES = {256: ((128, 128, 64, 32), (64, 64, 32, 16)), 32: ((64, 32, 64, 32), (32, 16, 32, 16))}
HALF_LARGE, HALF_MEDIUM = (TensorTile(*sizes) for sizes in HALF_SIZES[THREADS])

ENOUGH_HALF_TILES = 2 * ENOUGH_TILES
"""Large tiles of bfloat16 that keep a GPU busy: two of its blocks work on a multiprocessor at a time."""

SHARED_ELEMENTS = max(LARGE.shared_elements, SMALL.shared_elements)
"""Elements of shared memory: 40 KB of float64."""

HALF_SHARED_ELEMENTS = max(SHARED_ELEMENTS, HALF_LARGE.shared_elements, HALF_MEDIUM.shared_elements)
"""Floats of shared memory for products of bfloat16: all 48 KB that need no special launch."""
