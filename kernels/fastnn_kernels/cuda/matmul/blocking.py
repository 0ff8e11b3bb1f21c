"""Tiles of `matmul`: plain numbers. Which one is used follows from the shape alone, so the result does too."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn_kernels.cuda.block import THREADS

QUADS = 2
"""Quads that a thread holds on their way from a or b to shared memory: together a slab of ``side`` rows of a and columns of b."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A square of out that a block computes at a time, ``rows`` x ``columns`` of it in the registers of each thread.

    Threads that are left over make further groups, which share out the terms: their sums are added in order.
    """

    side: int
    rows: int
    columns: int

    @property
    def down(self) -> int:
        """Threads of a group below each other."""
        return self.side // self.rows

    @property
    def across(self) -> int:
        """Threads of a group side by side."""
        return self.side // self.columns

    @property
    def groups(self) -> int:
        """Groups of threads in a block."""
        return THREADS // (self.down * self.across)

    @property
    def depth(self) -> int:
        """Terms in shared memory at a time."""
        return 4 * QUADS * THREADS // self.side

    @property
    def stride(self) -> int:
        """Between the terms of an operand in shared memory: a quad longer than the tile, so that columns lie on other banks."""
        return self.side + 4

    @property
    def slice_rows(self) -> int:
        """Rows of every thread that are written at a time: 16 numbers of each, as many as the operands' slabs hold."""
        return 8 * QUADS // self.columns


SIDES = {256: ((128, 8, 8), (64, 4, 4), (16, 4, 4)), 32: ((32, 8, 4), (16, 4, 4), (8, 4, 4))}
"""Side, rows and columns of the tiles, by the threads of a block: 256 on a GPU, 32 in the simulator."""

LARGE, MEDIUM, SMALL = (Tile(*sizes) for sizes in SIDES[THREADS])
"""The more of out is in registers, the less often a and b are read; the more tiles, the more blocks have work."""

ENOUGH_TILES = THREADS // 2 if THREADS > 32 else 4
"""About as many as a GPU has multiprocessors; in the simulator few, so that tests reach every tile."""

SHARED_ELEMENTS = max(2 * tile.depth * tile.stride for tile in (LARGE, MEDIUM, SMALL))
"""Elements of shared memory: a slab of a and one of b; 40 KB of float64."""
