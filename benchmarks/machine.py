"""What the numbers belong to: the machine, the versions."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from fastnn_kernels.system import usable_cores

from benchmarks.peers import Peer

DISTRIBUTIONS = {
    "fastnn": ("fastnn-numba", "numba"),
    "numpy": ("numpy",),
    "numba": ("numba",),
    "machine": ("numba",),
    "jax": ("jax", "jaxlib"),
    "torch": ("torch",),
    "keras": ("keras", "tensorflow-cpu", "tensorflow", "jax"),
    "sklearn": ("scikit-learn",),
    "trees": ("scikit-learn",),
    "onnxruntime": ("onnxruntime",),
    "mkl": ("mkl",),
}
"""What stands behind each group of peers."""


def describe() -> dict[str, Any]:
    """The machine in words and numbers."""
    return {
        "name": cpu_name(),
        "cores": usable_cores(),
        "memory_gb": memory_gb(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def cpu_name() -> str:
    """The processor's name, without marks and clock rates."""
    name = platform.processor() or platform.machine()
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    if match:
        name = match.group(1)
    return re.sub(r"\((R|TM)\)|CPU|Processor|@.*", "", name).strip().replace("  ", " ")


def memory_gb() -> float | None:
    """Memory in GB; None where the system does not tell."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None


def version(peer: Peer) -> str:
    """Versions of what a peer uses."""
    found = []
    for name in DISTRIBUTIONS.get(peer.group, ()):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(dict.fromkeys(found))


def slug() -> str:
    """The machine's name for a file."""
    return re.sub(r"[^a-z0-9]+", "-", f"{cpu_name()} {usable_cores()} cores".lower()).strip("-")
