"""VARIANTS: other kernels for an instruction, launched in a way of their own where the device and the arguments suit them.

A variant's entry has the parameters of its instruction's, then a tensor map for each of ``maps``. Which kernel runs follows from
the arguments alone, so whoever launches, repeats or rebinds an instruction knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastnn_kernels.cuda import THREADS
from fastnn_kernels.cuda.matmul.ring import ITEMS, LINE, RING, Ring
from fastnn_kernels.cuda.tensor_map import TensorMap

Values = Mapping[str, float]
"""A launch's arguments by the names of the parameters."""

MAP = "tensor_map"
"""The type of a parameter that is a `TensorMap`, 128 bytes by value; a kernel sees its address."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a kernel is launched: ``blocks`` of ``threads`` with ``shared_bytes`` each; ``cluster`` of them run at the same time."""

    blocks: int
    threads: int = THREADS
    cluster: int = 1
    shared_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Variant:
    """A kernel for devices of one compute capability: ``unit``, how it is launched, and what it takes."""

    unit: str
    capability: tuple[int, int]
    threads: int
    cluster: int
    shared_bytes: int
    suits: Callable[[Values], bool]
    clusters: Callable[[Values], int]
    """Clusters that have work; no more than fit on the device are launched."""
    maps: Mapping[str, Callable[[Values], TensorMap]]

    def shape(self, blocks: int, multiprocessors: int, values: Values) -> Shape:
        """As many clusters as ``blocks`` make, at least one."""
        clusters = min(-(-blocks // self.cluster), max(1, multiprocessors // self.cluster), self.clusters(values))
        return Shape(clusters * self.cluster, self.threads, self.cluster, self.shared_bytes)


ENOUGH_TILES = 64
"""Tiles that keep half of an H100's multiprocessors busy."""


def _product_suits(ring: Ring, values: Values) -> bool:
    """Enough tiles; no box is larger than its matrix, whose rows are whole pieces of 16 bytes; pairs of out can be written."""
    m, n, terms = int(values["M"]), int(values["N"]), int(values["A0" if values["transpose_a"] else "A1"])
    wholes = {"a_address": 16, "b_address": 16, "A1": 8, "B1": 8, "out_address": 8, "N": 2}
    return (
        -(-m // ring.rows) * -(-n // ring.columns) >= ENOUGH_TILES
        and m >= ITEMS <= n
        and terms >= LINE
        and not any(int(values[name]) % whole for name, whole in wholes.items())
    )


def _box_map(values: Values, name: str, by_terms: bool) -> TensorMap:
    """Boxes of one operand: 64 terms by 64 items where its rows are terms, else 128 items by 64 terms."""
    letter = name.upper()
    sizes = int(values[f"{letter}0"]), int(values[f"{letter}1"])
    return TensorMap(int(values[f"{name}_address"]), *sizes, LINE if by_terms else ITEMS)


def product_variant(ring: Ring) -> Variant:
    """`matmul_bfloat16` by `matmul.wgmma`."""
    return Variant(
        unit="matmul_bfloat16-wgmma",
        capability=(9, 0),
        threads=ring.threads,
        cluster=ring.cluster,
        shared_bytes=ring.shared_bytes,
        suits=lambda values: _product_suits(ring, values),
        clusters=lambda values: ring.clusters(int(values["M"]), int(values["N"])),
        maps={
            "a_map": lambda values: _box_map(values, "a", bool(values["transpose_a"])),
            "b_map": lambda values: _box_map(values, "b", not values["transpose_b"]),
        },
    )


VARIANTS: dict[str, Variant] = {"matmul_bfloat16": product_variant(RING)}
"""By the unit that they stand in for."""


def prepared(
    own: Any, variants: Sequence[tuple[Variant, Any]], blocks: int, values: Values, multiprocessors: int
) -> tuple[Any, Shape, list[float | TensorMap]]:
    """The kernel that runs, ``own`` or that of the first variant that suits; how it is launched, and its arguments."""
    for variant, kernel in variants:
        if variant.suits(values):
            maps = [map_of(values) for map_of in variant.maps.values()]
            return kernel, variant.shape(blocks, multiprocessors, values), [*values.values(), *maps]
    return own, Shape(blocks), list(values.values())


def variant_of(unit: str) -> Variant | None:
    """The variant that ``unit`` is, if it is one."""
    return next((variant for variant in VARIANTS.values() if variant.unit == unit), None)


def with_variants(units: Sequence[str], capability: tuple[int, int] | None) -> list[str]:
    """``units`` and their variants for devices of ``capability``, of any where that is None."""
    variants = [VARIANTS[unit] for unit in units if unit in VARIANTS]
    return [*units, *(variant.unit for variant in variants if capability in (None, variant.capability))]
