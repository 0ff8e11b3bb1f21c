"""The CPU that Numba compiles for, told without importing Numba."""

from __future__ import annotations

import os

import llvmlite.binding as llvm

VECTOR_FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl", "neon", "sve", "sve2")
"""LLVM's names of the vector instructions that matter to the kernels."""


def compiled_for() -> tuple[str, list[str]]:
    """LLVM's name of the CPU and its vector features; ``NUMBA_CPU_NAME`` and ``NUMBA_CPU_FEATURES`` change what Numba takes."""
    name = os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()
    flags = os.environ.get("NUMBA_CPU_FEATURES") or llvm.get_host_cpu_features().flatten()
    available = {flag[1:] for flag in flags.split(",") if flag.startswith("+")}
    return name, [feature for feature in VECTOR_FEATURES if feature in available]
