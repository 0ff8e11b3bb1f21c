"""Products whose terms are shared out among blocks, by every kind of tile; in the simulator blocks may come in any order."""

from __future__ import annotations

import numpy as np
import pytest
from fastnn_kernels.cuda import SIMULATED, THREADS
from fastnn_kernels.cuda.grid import blocks_for, scratch_for
from fastnn_kernels.cuda.matmul import blocking
from fastnn_kernels.cuda.matmul.blocking import (
    BFLOAT16_MEDIUM,
    COUNTERS,
    MOST_ITEMS,
    MOST_PARTS,
    NO_TENSOR_TILE,
    SCRATCH_ELEMENTS,
    SMALL,
    TENSOR_LARGE,
    TENSOR_MEDIUM,
    TENSOR_TILES,
    TENSOR_WIDE,
    bfloat16_tile,
    tensor_tile,
    terms_of_part,
    tiles_of,
    work_items,
)
from numpy.typing import NDArray

simulated = pytest.mark.skipif(not SIMULATED, reason="the shapes are those of the simulator's tiles")

SHAPES = {
    32: {NO_TENSOR_TILE: (8, 100, 9), TENSOR_LARGE: (64, 70, 63), TENSOR_MEDIUM: (17, 90, 30), TENSOR_WIDE: (16, 66, 13)},
    256: {NO_TENSOR_TILE: (8, 300, 9), TENSOR_LARGE: (129, 49, 70), TENSOR_MEDIUM: (37, 70, 62), TENSOR_WIDE: (20, 70, 72)},
}.get(THREADS, {})
"""M, K, N by the tile that they take."""


def product(m: int, k: int, n: int, workers: int, layout: tuple[int, int], **attributes: int) -> tuple[NDArray, NDArray, NDArray]:
    """The product of a case on some blocks, and in float64 what it is and the sums of its terms without their signs."""
    from fastnn_kernels.cuda.execute import execute

    rng, (transpose_a, transpose_b) = np.random.default_rng(m * n), layout
    a, b, bias, out = (rng.normal(size=size).astype(np.float32) for size in ((m, k), (k, n), n, (m, n)))
    exact, terms = a.astype(float) @ b + bias, np.abs(a).astype(float) @ np.abs(b) + np.abs(bias)
    stored = {"a": a.T.copy() if transpose_a else a, "b": b.T.copy() if transpose_b else b, "bias": bias, "out": out}
    given = {
        "transpose_a": transpose_a,
        "transpose_b": transpose_b,
        "negative_slope": 0.0,
        "activation": 0,
        "accumulate": 0,
        "precision": 0,
    }
    execute("matmul", stored, given | attributes, workers=workers)
    return out, exact, terms


@simulated
@pytest.mark.parametrize("kind", SHAPES)
def test_shapes_reach_their_tile_in_several_parts(kind: int) -> None:
    m, k, n = SHAPES[kind]
    tile = SMALL if kind == NO_TENSOR_TILE else TENSOR_TILES[kind - 1]
    assert tensor_tile(m, n, k) == kind
    assert work_items("float32", m, n, k) > tiles_of(m, n, tile.rows, tile.columns)


@simulated
@pytest.mark.parametrize("layout", [(0, 0), (0, 1), (1, 0), (1, 1)])
@pytest.mark.parametrize("kind", SHAPES)
def test_the_same_bits_whichever_block_comes_last(kind: int, layout: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    from fastnn_kernels.cuda import simulator

    out, exact, terms = product(*SHAPES[kind], 2, layout)
    assert (np.abs(out - exact) <= 2.0**-21 * terms).all()
    monkeypatch.setattr(simulator, "order_of_blocks", reversed)
    again, _, _ = product(*SHAPES[kind], work_items("float32", *SHAPES[kind][::2], SHAPES[kind][1]), layout)
    assert out.tobytes() == again.tobytes()


@simulated
@pytest.mark.parametrize("layout", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_the_same_bits_of_bfloat16(layout: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """By tiles for tensor cores, in three parts."""
    from fastnn_kernels.cuda import simulator
    from fastnn_kernels.cuda.execute import execute

    (m, k, n), rng = (40, 96, 24), np.random.default_rng(9)
    tiles = tiles_of(m, n, BFLOAT16_MEDIUM.rows, BFLOAT16_MEDIUM.columns)
    assert bfloat16_tile(m, n, k) == TENSOR_MEDIUM
    assert terms_of_part(tiles, k, BFLOAT16_MEDIUM.depth) == k // 3
    numbers = [rng.integers(-128, 129, size).astype(np.float32) for size in ((m, k), (k, n))]  # and their sums are exact
    stored = [(x.T if turned else x).copy() for x, turned in zip(numbers, layout, strict=True)]
    a, b = ((x.view(np.uint32) >> 16).astype(np.uint16) for x in stored)
    given = dict.fromkeys(("activation", "negative_slope", "accumulate", "precision"), 0)
    given |= dict(zip(("transpose_a", "transpose_b"), layout, strict=True))
    for order, workers in ((iter, 2), (reversed, 3 * tiles)):
        monkeypatch.setattr(simulator, "order_of_blocks", order)
        out = np.full((m, n), np.nan, np.float32)
        execute("matmul_bfloat16", {"a": a, "b": b, "out": out}, given, workers=workers)
        assert (out == numbers[0] @ numbers[1]).all()


@simulated
@pytest.mark.parametrize("kind", [TENSOR_LARGE, TENSOR_MEDIUM, TENSOR_WIDE])
def test_tensorfloat32_is_one_product_of_rounded_numbers(kind: int) -> None:
    out, exact, terms = product(*SHAPES[kind], 1, (0, 0), precision=1)
    assert (np.abs(out - exact) <= 2.0**-10 * terms).all()
    assert (np.abs(out - exact) > 2.0**-18 * terms).any()


@simulated
def test_counters_are_zero_again_after_a_launch() -> None:
    from fastnn_kernels.cuda import device

    m, k, n = SHAPES[NO_TENSOR_TILE]
    stream, scratch = device.Stream(), np.full(SCRATCH_ELEMENTS["float32"], np.nan, np.float32)
    scratch[:COUNTERS] = 0
    arrays = [np.ones((m, k), np.float32), np.ones((k, n), np.float32), scratch, np.zeros((m, n), np.float32)]
    a, b, z, out = (device.allocate(array.nbytes) for array in arrays)
    for buffer, array in zip((a, b, z, out), arrays, strict=True):
        stream.upload(buffer.address, array)
    arguments = (0, a.address, b.address, 0, z.address, out.address, m, k, k, n, n, scratch.size, m, 0, 0, 0, 0.0, 0, 0)
    entry = device.load(["matmul-float32"])["matmul-float32"]
    for _ in range(2):
        stream.launch(entry, 3, arguments)
    stream.download(scratch, z.address)
    stream.download(arrays[3], out.address)
    stream.synchronize()
    assert (scratch[:COUNTERS].view(np.int32) == 0).all()
    assert np.isfinite(scratch[COUNTERS:]).any()  # the terms were split
    assert (arrays[3] == k).all()


@pytest.mark.parametrize("tiles", [0, 1, 7, 96, 132, 133, 5000])
@pytest.mark.parametrize("depth", [16, 32, 128])
@pytest.mark.parametrize("terms", [0, 1, 191, 192, 400, 784, 4096, 100_000])
def test_parts_are_whole_slabs_none_is_empty_and_scratch_holds_them(tiles: int, depth: int, terms: int) -> None:
    part = terms_of_part(tiles, terms, depth)
    parts = max(1, -(-terms // part))
    assert part > 0
    assert part % depth == 0
    assert parts <= MOST_PARTS
    assert parts == 1 or parts * tiles <= MOST_ITEMS
    assert parts == 1 or terms >= blocking.PART_TERMS


def test_scratch_is_enough_for_every_batch_up_to_the_largest() -> None:
    attributes = {"transpose_a": 0}
    for m, n, terms in ((1, 10, 784), (128, 512, 784), (700, 33, 5000), (5000, 5000, 5000), (8, 5, 30)):
        sizes = {"M": m, "N": n, "A1": terms}
        for dtype in ("float32", "float64"):
            elements = scratch_for("matmul", dtype, sizes, attributes)
            assert elements <= SCRATCH_ELEMENTS[dtype]
            for tile in blocking.TILES[dtype]:
                for rows in {1, m // 3, m}:
                    tiles = tiles_of(rows, n, tile.rows, tile.columns)
                    parts = -(-terms // terms_of_part(tiles, terms, tile.depth))
                    assert parts <= 1 or COUNTERS + 4 + parts * tiles * tile.rows * tile.columns <= elements
    assert scratch_for("sum_rows", "float32", {"M": 3, "N": 4}, {}) == 0


def test_as_many_blocks_as_there_is_work() -> None:
    attributes = {"transpose_a": 1}
    sizes = {"A0": 3000, "A1": 4, "B0": 3000, "B1": 3, "M": 4, "N": 3}
    items = work_items("float32", 4, 3, 3000)
    assert items > 1
    assert blocks_for("matmul", "float32", sizes, attributes, 12_000, 528) == items
    assert blocks_for("matmul", "float32", sizes, attributes, 12_000, 3) == 3
    assert blocks_for("sum_rows", "float32", {"M": 1000, "N": 17}, {}, 17_000, 528) == 3
    assert blocks_for("relu", "float32", {"N": 1000}, {}, 1000, 528) == 32
    assert blocks_for("next_batch", "float32", {}, {}, 8, 528) == 1
    assert blocks_for("matmul", "float64", dict.fromkeys(sizes, 0), attributes, 0, 528) == 1
