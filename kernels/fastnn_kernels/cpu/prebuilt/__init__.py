"""Prebuilt objects: units compiled ahead for a level of x86-64, which a wheel carries in folders beside this file.

They depend on the sources and on the level, on nothing of the machine. ``python -m fastnn_kernels.cpu.prebuilt`` writes them; who
loads them only reads.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import llvmlite.binding as llvm

from fastnn_kernels import digests, store
from fastnn_kernels.cpu.digests import CPU, NUMBA_VARIABLES, SUFFIX

FOLDER = Path(__file__).parent

V2 = ("cx16", "sahf", "popcnt", "crc32", "sse3", "ssse3", "sse4.1", "sse4.2")
V3 = (*V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe", "xsave")
V4 = (*V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")

LEVELS = {"x86-64-v3": V3, "x86-64-v4": V4}
"""Levels (x86-64 psABI, "Micro-Architecture Levels"), the lowest first, and LLVM's names of what they have."""

PROCESSOR = "x86-64"
"""LLVM's processor to compile for: it has one for each level, but tunes it to leave half of AVX-512's registers unused, and
softmax was slower by 4% on Zen 3."""


def level_of(features: Mapping[str, bool]) -> str | None:
    """The highest level of a CPU with these features; None below the lowest."""
    reached = [level for level, needed in LEVELS.items() if all(features.get(name) for name in needed)]
    return reached[-1] if reached else None


def level() -> str | None:
    """The level whose objects this process loads; None where they are compiled for this CPU or as Numba's variables say."""
    chosen = os.environ.get("FASTNN_PREBUILT") or "1"
    if chosen not in ("0", "1"):
        raise ValueError(f"FASTNN_PREBUILT is {chosen!r}; it is 0 for kernels compiled on this machine, 1 for those in the package")
    steered = any(os.environ.get(f"NUMBA_{name}") for name in NUMBA_VARIABLES)
    return None if chosen == "0" or steered or not fits(llvm.get_process_triple()) else level_of(llvm.get_host_cpu_features())


def fits(triple: str) -> bool:
    """Whether processes of LLVM's target triple can load the objects."""
    return triple.startswith("x86_64") and "linux" in triple


def flags(level: str) -> str:
    """The level's features as LLVM takes them."""
    return ",".join(f"+{name}" for name in LEVELS[level])


def unit_digests(level: str, units: Iterable[str], folder: Path, *, keep: bool = False) -> dict[str, str]:
    """The digest of every unit compiled for ``level``; ``folder`` has an index of the sources, and gets one with ``keep``."""
    return digests.unit_digests(CPU, units, (PROCESSOR, flags(level)), folder, keep=keep)


def read(units: Iterable[str]) -> dict[str, bytes]:
    """Those of ``units`` that are here for this CPU, compiled from the sources as they are."""
    chosen = level()
    folder = FOLDER / (chosen or "")
    if chosen is None or not folder.is_dir():
        return {}
    names = unit_digests(chosen, units, folder)
    found = {unit: store.whole(folder, unit, digest, SUFFIX) for unit, digest in names.items()}
    return {unit: data for unit, data in found.items() if data is not None}
