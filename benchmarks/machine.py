"""Versions of the peers, the GPU, and the machine's name for a file."""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import metadata
from typing import Any

from fastnn_kernels.cuda import device as gpu

from benchmarks.peers import Peer
from fastnn.bench.machine import cpu_name, describe, usable_cores

DISTRIBUTIONS = {
    "fastnn": ("fastnn-numba", "numba", "numba-cuda", "cuda-core", "cuda-bindings"),
    "numpy": ("numpy",),
    "numba": ("numba",),
    "machine": ("numba", "numba-cuda"),
    "jax": ("jax", "jaxlib", "jax-cuda13-plugin", "jax-cuda12-plugin"),
    "torch": ("torch", "nvidia-cublas", "nvidia-cublas-cu12"),
    "keras": ("keras", "tensorflow-cpu", "tensorflow", "jax"),
    "sklearn": ("scikit-learn",),
    "trees": ("scikit-learn",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
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


def about(device: str) -> dict[str, Any]:
    """The machine; on "cuda" with ``gpu``, its name, ``gpu_about``, what `fastnn info` says, and ``gpu_driver``."""
    if device == "cpu":
        return describe()
    return {**describe(), "gpu": gpu.properties()["name"], "gpu_about": gpu.describe(), "gpu_driver": driver()}


def driver() -> str | None:
    """The NVIDIA driver's version, as ``nvidia-smi`` tells it."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    if shutil.which(command[0]) is None:
        return None
    lines = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return lines[0].strip() if lines else None


def slug(device: str = "cpu") -> str:
    """Lower-case letters and digits: ``amd-epyc-2-cores``, or of a GPU ``nvidia-h200``."""
    name = f"{cpu_name()} {usable_cores()} cores" if device == "cpu" else str(gpu.properties()["name"])
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
