"""Versions of the peers, and the machine's name for a file."""

from __future__ import annotations

import re
from importlib import metadata

from benchmarks.peers import Peer
from fastnn.bench.machine import cpu_name, usable_cores

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


def version(peer: Peer) -> str:
    """Versions of what a peer uses."""
    found = []
    for name in DISTRIBUTIONS.get(peer.group, ()):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    return ", ".join(found)


def slug() -> str:
    """Lower-case letters and digits: ``amd-epyc-2-cores``."""
    return re.sub(r"[^a-z0-9]+", "-", f"{cpu_name()} {usable_cores()} cores".lower()).strip("-")
