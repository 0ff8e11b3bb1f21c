"""What a unit's object depends on: the source it is compiled from, and what Numba compiles for. Without importing Numba."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import platform
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from fastnn_kernels.cpu.sources import SourceGraph, read_sources
from fastnn_kernels.system import keep_newest, write_atomically

NUMBA_VARIABLES = ("CPU_NAME", "CPU_FEATURES", "ENABLE_AVX", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO")


def digest_of(*parts: str) -> str:
    """32 hexadecimal digits that differ when any part differs."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


def environment() -> tuple[str, ...]:
    """What else changes the code: the machine, Python, Numba, llvmlite, and the variables that steer Numba."""
    found = importlib.util.find_spec("numba")
    version = Path(found.origin).with_name("_version.py") if found and found.origin else None
    features = llvm.get_host_cpu_features()
    return (
        f"{sys.platform} {platform.machine()} {sys.implementation.cache_tag}",
        version.read_text() if version and version.exists() else "",
        llvmlite.__version__,
        llvm.get_host_cpu_name(),
        features.flatten(),
        *(os.environ.get(f"NUMBA_{name}", "") for name in NUMBA_VARIABLES),
    )


def unit_digests(units: Iterable[str], directory: Path | None) -> dict[str, str]:
    """The digest of every unit; what the sources give is remembered in ``directory``, so that most processes parse none."""
    sources, units = read_sources(), list(units)
    index = None if directory is None else directory / f"sources-{digest_of(*sources, *sources.values())}.json"
    known = _read_index(index)
    if not known.keys() >= set(units):
        graph = SourceGraph(sources)
        known.update({unit: digest_of(unit, *graph.digest_parts(unit)) for unit in units if unit not in known})
        _write_index(index, known)
    surroundings = environment()
    return {unit: digest_of(known[unit], *surroundings) for unit in units}


def _read_index(path: Path | None) -> dict[str, str]:
    try:
        index = json.loads(path.read_text()) if path else {}
    except (OSError, ValueError):
        return {}
    valid = isinstance(index, dict) and all(isinstance(value, str) and len(value) == 32 for value in index.values())
    return index if valid else {}


def _write_index(path: Path | None, index: dict[str, str]) -> None:
    if path is None:
        return
    with suppress(OSError):  # the next process parses again
        write_atomically(path, json.dumps(index, sort_keys=True).encode())
        keep_newest(path.parent, "sources-*.json")
