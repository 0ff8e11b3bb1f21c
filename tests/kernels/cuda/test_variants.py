"""Which kernel runs: by the device and the arguments alone."""

from __future__ import annotations

from typing import Any

import pytest
from fastnn_kernels.cuda import variants
from fastnn_kernels.cuda.adapters import unit_parameters
from fastnn_kernels.cuda.tensor_map import TensorMap
from fastnn_kernels.cuda.variants import VARIANTS, Shape, prepared, with_variants
from fastnn_kernels.instructions import INSTRUCTIONS

NEEDS_NO_DEVICE = True

UNIT = "matmul_bfloat16"
VARIANT = VARIANTS[UNIT]


def values(m: int = 4096, k: int = 4096, n: int = 4096, ta: int = 0, tb: int = 0, **others: float) -> dict[str, float]:
    names = list(unit_parameters(UNIT))
    known = {
        **{name: 256 * number for number, name in enumerate(names) if name.endswith("_address")},
        **dict(zip(("A0", "A1"), (k, m) if ta else (m, k), strict=True)),
        **dict(zip(("B0", "B1"), (n, k) if tb else (k, n), strict=True)),
        **{"M": m, "N": n, "transpose_a": ta, "transpose_b": tb},
    }
    return dict.fromkeys(names, 0) | known | others


def test_large_aligned_products_are_the_variants() -> None:
    kernel, shape, arguments = prepared("own", [(VARIANT, "variant")], 528, values(ta=1, tb=1), 132)
    assert kernel == "variant"
    assert shape == Shape(blocks=132, threads=384, cluster=2, shared_bytes=VARIANT.shared_bytes)
    assert arguments[-2:] == [TensorMap(256, 4096, 4096, 64), TensorMap(512, 4096, 4096, 128)]
    assert arguments[:-2] == list(values(ta=1, tb=1).values())


@pytest.mark.parametrize(
    ("blocks", "m", "wanted"), [(1, 4096, 2), (3, 4096, 4), (528, 4096, 132), (528, 1024, 128), (528, 900, 128)]
)
def test_no_more_clusters_than_blocks_tiles_and_multiprocessors(blocks: int, m: int, wanted: int) -> None:
    assert VARIANT.shape(blocks, 133, values(m=m)).blocks == wanted


OTHERS: list[dict[str, Any]] = [
    {"m": 1024, "n": 1024},  # 32 tiles
    {"m": 120, "n": 65536},  # less than a box
    {"m": 65536, "n": 120},
    {"k": 56},
    {"k": 100},  # rows of a, 200 bytes
    {"n": 4100},
    {"n": 4101, "tb": 1},
    {"m": 4100, "ta": 1},
    {"a_address": 264},
    {"b_address": 264},
    {"out_address": 260},
]


@pytest.mark.parametrize("others", OTHERS, ids=str)
def test_all_others_are_the_units_own(others: dict[str, Any]) -> None:
    given = values(**others)
    assert prepared("own", [(VARIANT, "variant")], 7, given, 132) == ("own", Shape(7), list(given.values()))


@pytest.mark.parametrize("others", [{"n": 4100, "tb": 1}, {"m": 4099}, {"out_address": 264}], ids=str)
def test_what_is_only_written_need_not_be_aligned_to_more_than_pairs(others: dict[str, Any]) -> None:
    assert prepared("own", [(VARIANT, "variant")], 7, values(**others), 132)[0] == "variant"


def test_variants_are_loaded_for_their_architecture() -> None:
    assert with_variants([UNIT, "next_batch"], (9, 0)) == [UNIT, "next_batch", VARIANT.unit]
    assert with_variants([UNIT], (10, 0)) == [UNIT]
    assert with_variants(["next_batch"], (9, 0)) == ["next_batch"]


def test_a_ring_fits_shared_memory_and_registers() -> None:
    from fastnn_kernels.cuda.matmul import ring

    assert VARIANT.shared_bytes <= 227 * 1024
    assert ring.RING.loads % ring.RING.cluster == 0
    assert ring.RING.stages >= 2  # one is given back when the next is being multiplied
    assert 128 * (ring.PRODUCER_REGISTERS + 2 * ring.CONSUMER_REGISTERS) <= 65536


def test_every_variant_stands_in_for_a_unit() -> None:
    assert all(unit.partition("-")[0] in INSTRUCTIONS for unit in variants.VARIANTS)
