"""What a unit's object depends on: the source it is compiled from, and what Numba compiles for. Without importing Numba."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from fastnn_kernels import digests
from fastnn_kernels.cpu.adapters import adapter_source
from fastnn_kernels.sources import Target

CPU = Target(
    folder="cpu",
    host_files=(
        "adapters",
        "compiling",
        "cost",
        "digests",
        "elf",
        "execute",
        "host",
        "objects",
        "team",
        "prebuilt/__init__",
        "prebuilt/__main__",
    ),
    names="cpu/intrinsics.py",
    options=("cpu/options.py", "OPTIONS"),
    interpreter=("cpu/interpreter.py", "run"),
    adapter_source=adapter_source,
)

SUFFIX = ".o"
"""How the files of objects end."""

NUMBA_VARIABLES = ("CPU_NAME", "CPU_FEATURES", "ENABLE_AVX", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO")


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
    """The digest of every unit; an index of what the sources give is kept in ``directory``."""
    return digests.unit_digests(CPU, units, environment(), directory)
