"""How Hopper's kernel of bfloat16 products cuts its work: plain numbers, which follow from the shape alone, and so do the bits."""

from __future__ import annotations

from dataclasses import dataclass

LINE = 64
"""Numbers of 16 bits in a line of swizzled shared memory: the terms of a slab."""

ITEMS = 128
"""Rows of a, or columns of b, that are loaded at a time: 16 KB."""

LOAD_BYTES = 2 * LINE * ITEMS

WARPGROUP = 128
"""Threads that multiply together: 64 rows of out."""

ALIGNMENT = 1024
"""Of a slab in shared memory: the swizzle repeats."""

PRODUCER_REGISTERS, CONSUMER_REGISTERS = 40, 232
"""What a thread keeps or takes of the 168 that it starts with: a consumer has 128 sums."""


@dataclass(frozen=True, slots=True)
class Ring:
    """Tiles of 128 x ``columns`` of out, one block each; slabs of 64 terms go through a ring of ``stages`` places.

    ``cluster`` blocks have tiles below each other at the same time and load b together. Clusters take tiles column by column of
    groups of ``group`` rows of clusters, so that neighbours read the same parts of a and b while those are in the cache.
    """

    columns: int = 256
    stages: int = 4
    cluster: int = 2
    group: int = 8

    @property
    def rows(self) -> int:
        """Rows of a tile: two warpgroups multiply."""
        return ITEMS

    @property
    def threads(self) -> int:
        """One warpgroup loads, two multiply."""
        return 3 * WARPGROUP

    @property
    def loads(self) -> int:
        """Loads of b for a slab."""
        return self.columns // ITEMS

    @property
    def stage_bytes(self) -> int:
        """A slab of a, then one of b."""
        return LOAD_BYTES * (1 + self.loads)

    @property
    def shared_bytes(self) -> int:
        """The ring, two barriers for each of its stages, and what the first slab's alignment may cost."""
        return ALIGNMENT + self.stages * (self.stage_bytes + 16)

    def clusters(self, m: int, n: int) -> int:
        """Clusters of tiles that a product is made of."""
        return -(-m // (self.cluster * self.rows)) * -(-n // self.columns)


RING = Ring()
