"""Sizes of the blocks and tiles of `matmul`: plain numbers, so that an engine can size memory without a compiler.

Names as in BLIS (Van Zee and van de Geijn 2015): the micro-kernel computes a tile of MR x NR in registers over at most KC
terms; NC columns of b and MC rows of a are packed at a time. None is read from the host but the tile, which follows the
instruction set: a result depends on the shape and on KC alone.
"""

from __future__ import annotations

from dataclasses import dataclass

KC = 512
"""Terms summed in registers before a tile goes to memory and comes back: 256 double that traffic: 7% slower at 2048."""

MC, NC = 120, 1024
"""Rows of a and columns of b that are packed at a time, multiples of every tile's sides: in float32 240 KiB, which stay in a
core's L2 beside the panels of b (64 KiB) that pass through it, and 2 MiB in L3; a is packed again for every NC columns."""

SCRATCH_ELEMENTS = KC * (MC + NC)
"""Elements of scratch memory that each worker needs."""


@dataclass(frozen=True, slots=True)
class Tile:
    """What the micro-kernel holds in registers: ``rows`` x ``vectors`` vectors of ``vector_bytes``.

    ``masks``: the instruction set loads and stores part of a vector at full speed. Without, columns past the edge are padding in
    a packed panel.
    """

    rows: int
    vectors: int
    vector_bytes: int
    masks: bool

    def columns(self, item_bytes: int) -> int:
        """Columns of a tile whose elements have ``item_bytes``."""
        return self.vectors * self.vector_bytes // item_bytes


AVX512 = Tile(rows=8, vectors=2, vector_bytes=64, masks=True)
AVX2 = Tile(rows=6, vectors=2, vector_bytes=32, masks=False)
NEON = Tile(rows=8, vectors=2, vector_bytes=16, masks=False)
SSE2 = Tile(rows=4, vectors=2, vector_bytes=16, masks=False)

PLAIN = Tile(rows=4, vectors=2, vector_bytes=16, masks=False)
"""The tile of the micro-kernel's plain twin, for any other machine."""


def tile_of(triple: str, features: str) -> Tile:
    """The tile for what is compiled for: LLVM's target triple and its features, ``"+avx2,-avx512f,..."``."""
    machine, enabled = triple.partition("-")[0], features.split(",")
    if machine in ("aarch64", "arm64"):
        return NEON
    if machine != "x86_64":
        return PLAIN
    if "+avx512f" in enabled:
        return AVX512
    return AVX2 if "+avx2" in enabled and "+fma" in enabled else SSE2
