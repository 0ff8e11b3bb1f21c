"""Tiles of `matmul`: plain numbers. Which one is used follows from the shape alone, so the result does too."""

from __future__ import annotations

from dataclasses import dataclass

from fastnn_kernels.cuda.block import THREADS

STRIP = 16
"""Rows of a strip: what four threads below each other hold, four rows each."""


@dataclass(frozen=True, slots=True)
class Tile:
    """``rows`` x ``columns`` of out, computed by a block at a time.

    A thread has four columns and ``4 * strips`` rows of it in registers; up to 4 x 8 threads of a warp lie side by side. Threads
    that are left over make further groups, which share out the terms: their sums are added in order.
    """

    rows: int
    columns: int
    strips: int
    padding: int

    @property
    def lanes_across(self) -> int:
        """Threads of a warp side by side."""
        return min(8, self.columns // 4)

    @property
    def lanes(self) -> int:
        """Threads of a warp that work on one part of the tile."""
        return 4 * self.lanes_across

    @property
    def warps_across(self) -> int:
        """Parts of the tile side by side."""
        return self.columns // (4 * self.lanes_across)

    @property
    def warps_down(self) -> int:
        """Parts of the tile below each other."""
        return self.rows // (STRIP * self.strips)

    @property
    def members(self) -> int:
        """Threads of a group."""
        return self.lanes * self.warps_across * self.warps_down

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


SIZES = {
    256: ((128, 64, 2, 8), (64, 64, 1, 4), (16, 16, 1, 4)),
    32: ((32, 32, 2, 8), (16, 32, 1, 4), (16, 16, 1, 4)),
}
"""The tiles by the threads of a block: 256 on a GPU, 32 in the simulator."""

LARGE, MEDIUM, SMALL = (Tile(*sizes) for sizes in SIZES[THREADS])
"""The more of out is in registers, the less often a and b are read; the more tiles, the more blocks have work."""

ENOUGH_TILES = THREADS // 2 if THREADS > 32 else 4
"""About as many as a GPU has multiprocessors; in the simulator few, so that tests reach every tile."""

SHARED_ELEMENTS = max(tile.shared_elements for tile in (LARGE, MEDIUM, SMALL))
"""Elements of shared memory: 40 KB of float64."""
