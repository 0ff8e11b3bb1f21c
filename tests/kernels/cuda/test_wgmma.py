"""Hopper's kernel of bfloat16 products: whole products in the simulator, and what they are made of."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fastnn_kernels.cuda import SIMULATED
from fastnn_kernels.selftest.case import Case, check
from numpy.typing import NDArray

pytestmark = pytest.mark.skipif(not SIMULATED, reason="on a GPU, selftest's cases reach it")


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Blocks and clusters of the launches; the smallest product is enough for a variant."""
    from fastnn_kernels.cuda import device_simulated, variants

    run, launches = device_simulated.run_blocks, []

    def run_blocks(function: Callable[..., Any], blocks: int, threads: int, arguments: Any, **options: int) -> None:
        launches.append((blocks, options["cluster"]))
        run(function, blocks, threads, arguments, **options)

    monkeypatch.setattr(device_simulated, "run_blocks", run_blocks)
    monkeypatch.setattr(variants, "ENOUGH_TILES", 1)
    properties = {**device_simulated.properties(), "multiprocessors": 5}
    monkeypatch.setattr(device_simulated, "properties", lambda: properties)
    return launches


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """``ring(...)``: the kernel for another ring from now on."""
    from fastnn_kernels.cuda import kernels, variants
    from fastnn_kernels.cuda.matmul.ring import Ring
    from fastnn_kernels.cuda.matmul.wgmma import product_of

    def use(**sizes: int) -> None:
        other = Ring(**sizes)
        monkeypatch.setitem(variants.VARIANTS, "matmul_bfloat16", variants.product_variant(other))
        monkeypatch.setitem(kernels.KERNELS_OF_UNITS, "matmul_bfloat16-wgmma", product_of(other))

    return use


def case(path: str, m: int, k: int, n: int, absent: str = "bias", **attributes: float) -> Case:
    a = (k, m) if attributes.get("transpose_a") else (m, k)
    b = (n, k) if attributes.get("transpose_b") else (k, n)
    sizes = {"A0": a[0], "A1": a[1], "B0": b[0], "B1": b[1], "M": m, "N": n}
    return Case("matmul_bfloat16", path, sizes, (*absent.split(), "scratch"), attributes)


TRANSPOSED = [
    case(f"edges, transposed {ta}{tb}", 136, 200, 264, transpose_a=ta, transpose_b=tb)
    for ta, tb in itertools.product((0, 1), (0, 1))
]
EPILOGUES = [
    case("one slab, bias, relu", 130, 64, 136, "", activation=1, negative_slope=0.25),
    case("more slabs than stages, bias, tanh", 128, 328, 134, "", activation=3, transpose_b=1),
    case("eight terms more than a slab, sigmoid", 256, 72, 136, activation=2, transpose_a=1),
    case("accumulate", 128, 136, 256, accumulate=1),
]


@pytest.mark.parametrize("product", TRANSPOSED, ids=str)
def test_products_with_any_number_of_blocks(launches: list[tuple[int, int]], product: Case) -> None:
    from fastnn_kernels.cuda.execute import execute

    check(product, execute, "float32", workers=(1, 3))
    assert launches == [(2, 2), (4, 2)]  # whole clusters, as many as fit


@pytest.mark.parametrize("product", EPILOGUES, ids=str)
def test_products_with_all_that_follows(launches: list[tuple[int, int]], product: Case) -> None:
    from fastnn_kernels.cuda.execute import execute

    check(product, execute, "float32")
    assert launches == [(2, 2)]


@pytest.mark.parametrize(
    ("sizes", "blocks"),
    [({"columns": 128, "stages": 2, "cluster": 1}, 1), ({"columns": 256, "stages": 3, "cluster": 1}, 1), ({"stages": 3}, 2)],
    ids=str,
)
def test_blocks_that_stay_for_several_tiles(launches: Any, ring: Callable[..., None], sizes: dict[str, int], blocks: int) -> None:
    """The ring goes on from tile to tile, wherever it stands; five rows of tiles leave half a cluster without work."""
    from fastnn_kernels.cuda.execute import execute

    ring(**sizes)
    check(case("several tiles", 520, 264, 136, transpose_a=1), execute, "float32")
    assert launches == [(blocks, sizes.get("cluster", 2))]


@pytest.mark.parametrize(("m", "n", "cluster"), [(1, 1, 1), (1000, 700, 1), (3000, 5000, 2), (2100, 256, 2), (128, 9000, 2)])
def test_every_tile_is_computed_once(m: int, n: int, cluster: int) -> None:
    from fastnn_kernels.cuda.matmul.ring import Ring
    from fastnn_kernels.cuda.matmul.wgmma import tiles_of

    ring, out = Ring(cluster=cluster), np.empty((m, n), np.float32)
    numbers, place = tiles_of(ring)
    found = [place(out, number, block % cluster) for block in range(4 * cluster) for number in numbers(out, block, 4 * cluster)]
    across, down = range(0, n, 256), range(0, -(-m // (128 * cluster)) * 128 * cluster, 128)
    assert sorted(found) == [(i, j) for i in down for j in across]
    assert len(found) == cluster * ring.clusters(m, n)


@pytest.fixture
def slab() -> tuple[NDArray, NDArray[np.uint8], int]:
    """A matrix of 128 x 64 numbers, and shared memory with its box, by items, and its transposed box, by terms, behind."""
    from fastnn_kernels.cuda import ptx_hopper_simulated as hopper
    from fastnn_kernels.cuda.tensor_map import TensorMap

    bits = np.random.default_rng(0).integers(0x3F80, 0x4000, (128, 64)).astype(np.uint16)
    across, memory, target = bits.T.copy(), np.full(64 * 1024, 0xFF, np.uint8), 2048
    places = hopper.swizzled(target + np.arange(16 * 1024)) - hopper.BASE
    memory[places] = hopper.box_of(TensorMap(bits.ctypes.data, 128, 64, 128), 0, 0)
    panels = [hopper.box_of(TensorMap(across.ctypes.data, 64, 128, 64), 0, column) for column in (0, 64)]
    memory[places + 16 * 1024] = np.concatenate(panels)
    return (bits.astype(np.uint32) << 16).view(np.float32), memory, target


@pytest.mark.parametrize(("by_terms", "step"), [(False, 2), (True, 128)])
def test_a_descriptor_finds_what_a_map_put(slab: Any, by_terms: bool, step: int) -> None:
    from fastnn_kernels.cuda import ptx_hopper_simulated as hopper
    from fastnn_kernels.cuda.matmul.wgmma import DESCRIPTOR, PANEL_BYTES

    matrix, memory, target = slab
    start = target + 16 * 1024 * by_terms
    for term in range(0, 64, 16):
        descriptor = (DESCRIPTOR | start >> 4) + term // 16 * step
        np.testing.assert_array_equal(hopper.operand(memory, descriptor, 128, by_terms), matrix[:, term : term + 16])
    lower = DESCRIPTOR | (start + PANEL_BYTES) >> 4
    np.testing.assert_array_equal(hopper.operand(memory, lower, 64, by_terms), matrix[64:, :16])


@pytest.mark.parametrize("by_terms", [False, True])
def test_a_wrong_descriptor_finds_something_else(slab: Any, by_terms: bool) -> None:
    from fastnn_kernels.cuda import ptx_hopper_simulated as hopper
    from fastnn_kernels.cuda.matmul.wgmma import DESCRIPTOR

    matrix, memory, target = slab
    right = DESCRIPTOR | (target + 16 * 1024 * by_terms) >> 4
    assert (hopper.operand(memory, right, 128, not by_terms) != matrix[:, :16]).any()
    assert (hopper.operand(memory, right + 1, 128, by_terms) != matrix[:, :16]).any()
    assert (hopper.operand(memory, right ^ 96 << 32, 128, by_terms) != matrix[:, :16]).any()
    if by_terms:
        assert (hopper.operand(memory, right ^ 1 << 24, 128, by_terms) != matrix[:, :16]).any()
    with pytest.raises(RuntimeError, match="another swizzle"):
        hopper.operand(memory, right ^ 3 << 62, 128, by_terms)


def test_a_box_comes_as_late_as_it_can_with_zeros_beyond_the_matrix() -> None:
    from fastnn_kernels.cuda import ptx_hopper_simulated as hopper
    from fastnn_kernels.cuda.simulator import local, run_blocks
    from fastnn_kernels.cuda.tensor_map import TensorMap

    bits, seen = np.arange(1, 71, dtype=np.uint16).reshape(1, 70), []

    def function() -> None:
        if local.thread == 0:
            hopper.barrier_init(8192, 1)
        hopper.cluster_sync()
        if local.thread == 0 and hopper.cluster_rank() == 1:
            hopper.load_box_to(1024, TensorMap(bits.ctypes.data, 1, 70, 2), 0, 64, 8192, 0b11)
        if local.thread == 0:
            hopper.barrier_expect(8192, 256)
            words = local.block.dynamic[1024 - hopper.BASE :].view(np.uint16)
            seen.append(words[:10].tolist())
            hopper.barrier_wait(8192, 0)
            seen.append(words[:10].tolist())
        hopper.cluster_sync()

    run_blocks(function, 2, 32, (), cluster=2, shared_bytes=4096)
    assert seen == [[0xFFFF] * 10] * 2 + [[65, 66, 67, 68, 69, 70, 0, 0, 0, 0]] * 2


def test_a_barrier_that_waits_for_more_than_comes_is_an_error() -> None:
    from fastnn_kernels.cuda import ptx_hopper_simulated as hopper
    from fastnn_kernels.cuda.simulator import local, run_blocks

    def function() -> None:
        if local.thread == 0:
            hopper.barrier_init(64, 2)
            hopper.barrier_wait(64, 1)  # the phase before the first is over
            hopper.barrier_arrive(64, 0, 1)
            hopper.barrier_wait(64, 0)

    with pytest.raises(RuntimeError, match="wait at a barrier that the others do not reach"):
        run_blocks(function, 1, 32, (), shared_bytes=128)
