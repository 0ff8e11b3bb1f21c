"""Tiles of `matmul`: plain numbers. Which one is used, and among how many blocks the terms of one are shared out, follows from the
shape alone, so the result does too. Numba is not needed here: engines read it.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastnn_kernels.cuda import SIMULATED, THREADS

BANKS = 32
"""Of shared memory."""

WARP = 32

SHARED_BYTES = 48 * 1024
"""What a block may have without asking; two blocks of it fit into a multiprocessor from sm_80 on."""

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


SIZES = {256: ((64, 64, 8), (16, 16, 4)), 32: ((16, 32, 4), (16, 16, 4))}
"""The tiles by the threads of a block: 256 on a GPU, 32 in the simulator."""

LARGE, SMALL = (Tile(*sizes) for sizes in SIZES[THREADS])
"""Large tiles read a and b less often; small ones are more, so that more blocks have work, and split a sum among more threads."""

SHARED_ELEMENTS = max(LARGE.shared_elements, SMALL.shared_elements)
"""Elements of shared memory: 40 KB of float64."""


@dataclass(frozen=True, slots=True)
class WarpTile:
    """``rows`` x ``columns`` of out by tensor cores, ``warp_rows`` x ``warp_columns`` by a warp.

    Warps that are left over make further groups, as in `Tile`.
    """

    rows: int
    columns: int
    warp_rows: int
    warp_columns: int

    @property
    def members(self) -> int:
        """Threads of a group."""
        return self.rows // self.warp_rows * (self.columns // self.warp_columns) * WARP

    @property
    def groups(self) -> int:
        """Groups of threads in a block."""
        return THREADS // self.members

    @property
    def sums(self) -> int:
        """Sums in the registers of a thread."""
        return self.warp_rows * self.warp_columns // WARP


@dataclass(frozen=True, slots=True)
class TensorTile(WarpTile):
    """For products of float32, with ``stages`` slabs in shared memory.

    A slab is what `copies` leaves there: an operand's numbers in the order of its own memory, each line with some padding, so that
    what a warp reads at a time lies in different banks.
    """

    stages: int

    @property
    def depth(self) -> int:
        """Terms of a slab: two products for each group."""
        return 16 * self.groups

    def stride(self, items: int, *, along_terms: bool) -> int:
        """From line to line of an operand's slab: a line is an item's terms (``along_terms``) or a term's ``items``."""
        return self.depth + 4 if along_terms else items + 8

    def slab_elements(self, items: int) -> int:
        """Elements of an operand's slab, however it lies."""
        return max(items * self.stride(items, along_terms=True), self.depth * self.stride(items, along_terms=False))

    @property
    def stage_elements(self) -> int:
        """Elements of a slab of a and one of b."""
        return self.slab_elements(self.rows) + self.slab_elements(self.columns)

    @property
    def shared_elements(self) -> int:
        """Elements of shared memory: the slabs, then the groups' sums."""
        return max(self.stages * self.stage_elements, self.groups * self.rows * self.columns)


TENSOR_SIZES = {
    256: ((128, 64, 32, 32, 3), (64, 64, 32, 32, 2), (32, 128, 32, 32, 2)),
    32: ((32, 32, 32, 32, 3), (16, 32, 16, 32, 2), (16, 16, 16, 16, 2)),
}
"""The tiles of `TENSOR_TILES` by the threads of a block. 32 x 32 by a warp: for 8 terms 16 loads, 48 instructions to split what was
loaded and 24 products, in 128 registers: two blocks share a multiprocessor. 64 x 32 would load a quarter less and leave one."""

TENSOR_TILES = tuple(TensorTile(*sizes) for sizes in TENSOR_SIZES[THREADS])
"""The large one reads 0.09 bytes a multiply-add from L2: 2.8 TB/s at 60 TFLOP/s, of the 5.5 that an H100's L2 gives; the medium one
0.125. The wide one is for batches of 17 to 32."""

TENSOR_SHARED_ELEMENTS = max(tile.shared_elements for tile in TENSOR_TILES)

NO_TENSOR_TILE, TENSOR_LARGE, TENSOR_MEDIUM, TENSOR_WIDE = range(4)

ENOUGH_WORK = 1 << 25 if not SIMULATED else 1 << 13
"""Multiply-adds worth a tensor tile: SMALL reads half a byte for each from L2, here 3 us, what a split tile costs more."""

ENOUGH_TILES = 96 if not SIMULATED else 4
"""Tiles of the large kind that keep most of an H100's 132 multiprocessors busy, or all, where terms are split."""

MOST_ITEMS = 264 if not SIMULATED else 12
"""Tiles whose terms are split make at most so many parts: two for each multiprocessor of an H100."""

MOST_PARTS = 16
"""Of a tile: the last block to arrive reads them all."""

PART_TERMS = 192 if not SIMULATED else 20
"""The least terms of a part: with fewer, writing and reading its sums moves about as much as its operands."""


@dataclass(frozen=True, slots=True)
class Bfloat16Tile(WarpTile):
    """For products of bfloat16, by one group; see `slabs`."""

    @property
    def depth(self) -> int:
        """Terms of a slab."""
        return BFLOAT16_DEPTH

    @property
    def strip_stride(self) -> int:
        """Floats from row to row of a strip on its way to out: what is written at a time lies in different banks."""
        return self.warp_columns + 8

    @property
    def strip_elements(self) -> int:
        """Floats of shared memory for each warp's strip."""
        return BFLOAT16_STRIP * self.strip_stride

    @property
    def shared_elements(self) -> int:
        """Floats of shared memory: `STAGES` slabs of a and of b, and later the strips."""
        slabs = STAGES * BFLOAT16_DEPTH * (self.rows + self.columns) // 2
        return max(slabs, THREADS // 32 * self.strip_elements)


BFLOAT16_DEPTH, STAGES = 32, 3
"""Terms of a slab of bfloat16, and slabs that are in shared memory at a time: one is read, the others are on their way."""

BFLOAT16_STRIP = 32
"""Rows of a warp's part that go to out at a time."""

BFLOAT16_SIZES = {256: ((128, 128, 64, 32), (64, 64, 32, 16)), 32: ((64, 32, 64, 32), (32, 16, 32, 16))}
BFLOAT16_TILES = BFLOAT16_LARGE, BFLOAT16_MEDIUM = tuple(Bfloat16Tile(*sizes) for sizes in BFLOAT16_SIZES[THREADS])

ENOUGH_BFLOAT16_TILES = 128 if not SIMULATED else 8
"""Tiles of the large kind that keep a GPU busy; their terms are not split, because their sums do not fit shared memory."""

BFLOAT16_SHARED_ELEMENTS = max(SHARED_ELEMENTS, BFLOAT16_LARGE.shared_elements, BFLOAT16_MEDIUM.shared_elements)
"""Floats of shared memory for products of bfloat16: all 48 KB that need no special launch."""

COUNTERS = MOST_ITEMS
"""Elements of scratch that count arrivals, one a tile; they are 0 before a launch and after it."""

TILES: dict[str, tuple[Tile | WarpTile, ...]] = {"float32": (SMALL, LARGE, *TENSOR_TILES), "float64": (SMALL,)}
"""The tiles of a product by its float type."""

SCRATCH_ELEMENTS = {
    dtype: COUNTERS + 4 + MOST_ITEMS * max(tile.rows * tile.columns for tile in tiles) for dtype, tiles in TILES.items()
}
"""Counters, and the sums of every part, from the first multiple of 16 bytes on: what any product needs."""

(LARGE_ROWS, LARGE_COLUMNS), (MEDIUM_ROWS, MEDIUM_COLUMNS), (WIDE_ROWS, WIDE_COLUMNS) = (
    (tile.rows, tile.columns) for tile in TENSOR_TILES
)
BFLOAT16_ROWS, BFLOAT16_COLUMNS = BFLOAT16_LARGE.rows, BFLOAT16_LARGE.columns
BFLOAT16_MEDIUM_ROWS, BFLOAT16_MEDIUM_COLUMNS = BFLOAT16_MEDIUM.rows, BFLOAT16_MEDIUM.columns


def tensor_tile(m: int, n: int, terms: int) -> int:
    """Which of the tensor tiles a product of float32 takes, the first that is not half empty; `NO_TENSOR_TILE`: SMALL."""
    if m * n * terms < ENOUGH_WORK:
        return NO_TENSOR_TILE
    large_tiles = (m + LARGE_ROWS - 1) // LARGE_ROWS * ((n + LARGE_COLUMNS - 1) // LARGE_COLUMNS)
    if large_tiles >= ENOUGH_TILES and 2 * m > LARGE_ROWS and 2 * n > LARGE_COLUMNS:
        return TENSOR_LARGE
    if 2 * m > MEDIUM_ROWS and 2 * n > MEDIUM_COLUMNS:
        return TENSOR_MEDIUM
    return TENSOR_WIDE if 2 * m > WIDE_ROWS and 2 * n > WIDE_COLUMNS else NO_TENSOR_TILE


def bfloat16_tile(m: int, n: int, terms: int) -> int:
    """Which of `BFLOAT16_TILES` a product of bfloat16 takes, if tensor cores can read it: TENSOR_LARGE, TENSOR_MEDIUM or none."""
    if m * n * terms < ENOUGH_WORK:
        return NO_TENSOR_TILE
    large_tiles = (m + BFLOAT16_ROWS - 1) // BFLOAT16_ROWS * ((n + BFLOAT16_COLUMNS - 1) // BFLOAT16_COLUMNS)
    if large_tiles >= ENOUGH_BFLOAT16_TILES and 2 * m > BFLOAT16_ROWS and 2 * n > BFLOAT16_COLUMNS:
        return TENSOR_LARGE
    return TENSOR_MEDIUM if 2 * m > BFLOAT16_MEDIUM_ROWS and 2 * n > BFLOAT16_MEDIUM_COLUMNS else NO_TENSOR_TILE


def tiles_of(m: int, n: int, rows: int, columns: int) -> int:
    """Tiles of rows x columns that cover an (m, n) matrix."""
    return (m + rows - 1) // rows * ((n + columns - 1) // columns)


def terms_of_part(tiles: int, terms: int, depth: int) -> int:
    """Terms of each of a tile's parts but the last: whole slabs; no part is empty."""
    parts = max(1, min(MOST_PARTS, MOST_ITEMS // max(1, tiles), terms // PART_TERMS))
    return max(1, (terms + parts * depth - 1) // (parts * depth)) * depth


def work_items(dtype: str, m: int, n: int, terms: int) -> int:
    """Parts of tiles that a product on tensor cores, where it takes them, gives out to blocks; of bfloat16 as many as may be."""
    number = tensor_tile(m, n, terms) if dtype == "float32" else NO_TENSOR_TILE
    tile: Tile | TensorTile = SMALL if number == NO_TENSOR_TILE else TENSOR_TILES[number - 1]
    tiles = tiles_of(m, n, tile.rows, tile.columns)
    return tiles * max(1, -(-terms // terms_of_part(tiles, terms, tile.depth)))


def scratch_elements(dtype: str, m: int, n: int, terms: int) -> int:
    """Elements of scratch for products up to this size, at most `SCRATCH_ELEMENTS`."""
    if terms < 2 * PART_TERMS:
        return COUNTERS
    edge = max(max(tile.rows, tile.columns) for tile in TILES[dtype])  # a multiple of all others
    return min(SCRATCH_ELEMENTS[dtype], COUNTERS + 4 + MOST_PARTS * (-(-m // edge) * edge) * (-(-n // edge) * edge))


SUM_COLUMNS = 8
"""Columns that a block of `sum_rows` sums, 32 bytes, which memory gives at a time; the block's groups of threads share the rows."""
