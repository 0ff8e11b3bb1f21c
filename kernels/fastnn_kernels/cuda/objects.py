"""Objects: units as cubins, variants as PTX, in files of our own for each architecture; compiled where one is missing, loaded by
cuda.core.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from cuda.core import Kernel, ObjectCode

from fastnn_kernels import digests, store, system
from fastnn_kernels.cuda import THREADS
from fastnn_kernels.cuda.adapters import adapter_source
from fastnn_kernels.cuda.variants import variant_of
from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.sources import Target
from fastnn_kernels.units import INTERPRETER, split_unit, symbol, unit_name

Capability = tuple[int, int]

Progress = Callable[[int, int, str], None]
"""``progress(done, total, unit)``: ``unit`` is about to be compiled; at the end ``done == total`` and ``unit`` is empty."""

CUDA = Target(
    folder="cuda",
    host_files=(
        *("adapters", "arrays", "call", "check", "contents", "device", "device_simulated", "driver", "exchange"),
        *("exchange_simulated", "execute", "foreign", "objects", "probe", "ptx_hopper_simulated", "ptx_simulated"),
        *("simulator", "streams", "tensor_map", "variants"),
    ),
    names="cuda/ptx.py",
    options=("cuda/ptx.py", "device_function"),
    interpreter=("cuda/interpreter.py", "interpreter_source"),
    adapter_source=adapter_source,
)

PACKAGES = (
    "numba-cuda",
    "numba",
    "llvmlite",
    "cuda-core",
    "nvidia-nvvm",
    "nvidia-cuda-nvcc-cu12",
    "nvidia-nvjitlink",
    "nvidia-nvjitlink-cu12",
)
"""What makes PTX of a unit and a cubin of PTX, for CUDA 13 and 12."""


@dataclass
class Report:
    """What this process compiled (seconds by unit) and what it read from the directory, in order."""

    directory: Path | None = None
    compiled: dict[str, float] = field(default_factory=dict)
    cached: list[str] = field(default_factory=list)


_lock = threading.RLock()
_kernels: dict[tuple[str, Capability], Kernel] = {}
_report = Report()


def report() -> Report:
    """A copy of what `load` did so far."""
    with _lock:
        return Report(_report.directory, dict(_report.compiled), list(_report.cached))


@cache
def _versions() -> tuple[str, ...]:
    """Python's version and those of `PACKAGES`; empty for those that are not installed."""
    versions = [sys.implementation.cache_tag]
    for package in PACKAGES:
        try:
            versions.append(version(package))
        except PackageNotFoundError:
            versions.append("")
    return tuple(versions)


def load(units: Iterable[str], capability: Capability, progress: Progress | None = None) -> dict[str, Kernel]:
    """The kernel of every unit; compiles those that neither this process nor the directory has."""
    units = list(units)
    with _lock:
        missing = [unit for unit in dict.fromkeys(units) if (unit, capability) not in _kernels]
        if missing:
            for unit, data in cubins(missing, capability, progress).items():
                make = ObjectCode.from_ptx if variant_of(unit) else ObjectCode.from_cubin
                _kernels[unit, capability] = make(data, name=unit).get_kernel(symbol(unit))
        return {unit: _kernels[unit, capability] for unit in units}


def ready(unit: str, capability: Capability) -> bool:
    """Whether this process or the directory has the unit."""
    with _lock:
        if (unit, capability) in _kernels:
            return True
        folder, suffix = store.directory(), _suffix(capability)
        return store.read(folder, unit, _digests([unit], suffix, folder)[unit], suffix) is not None


def _suffix(capability: Capability) -> str:
    return f"-sm_{capability[0]}{capability[1]}.cubin"


def cubins(units: Iterable[str], capability: Capability, progress: Progress | None = None) -> dict[str, bytes]:
    """The code of every unit, from the directory or compiled into it; needs no GPU."""
    units, folder = list(units), store.directory()
    suffix = _suffix(capability)
    names = _digests(units, suffix, folder)
    found = {unit: store.read(folder, unit, names[unit], suffix) for unit in units}
    result = {unit: data for unit, data in found.items() if data is not None}
    missing = [unit for unit in units if unit not in result]
    for done, unit in enumerate(missing):
        if progress:
            progress(done, len(missing), unit)
        result[unit] = _compile(unit, capability)
        store.write(folder, unit, names[unit], suffix, result[unit])
    if progress and missing:
        progress(len(missing), len(missing), "")
    _report.directory = folder
    _report.cached += [unit for unit in units if unit not in missing]
    return result


def _digests(units: Iterable[str], suffix: str, folder: Path | None) -> dict[str, str]:
    """The digest of every unit; an interpreter depends on all kernels of its dtype."""
    surroundings = [*_versions(), str(THREADS), suffix]
    intrinsics = CUDA.read_sources()[CUDA.names]
    parts = {unit: [unit] for unit in units}
    for unit, reached in parts.items():
        op, dtype = split_unit(unit)
        if op == INTERPRETER:
            reached[:] = [INTERPRETER, *dict.fromkeys(unit_name(kernel, dtype) for kernel in INSTRUCTIONS)]
    known = digests.unit_digests(CUDA, {part for reached in parts.values() for part in reached}, surroundings, folder)
    return {
        unit: digests.digest_of(*(known[part] for part in reached), intrinsics if len(reached) > 1 else "")
        for unit, reached in parts.items()
    }


def _compile(unit: str, capability: Capability) -> bytes:
    from fastnn_kernels.cuda.compiler import compile_cubin, compile_whole

    start = time.perf_counter()
    with system.interrupts_deferred():
        data = compile_whole(unit, capability) if variant_of(unit) else compile_cubin(unit, capability)[0]
    _report.compiled[unit] = time.perf_counter() - start
    return data
