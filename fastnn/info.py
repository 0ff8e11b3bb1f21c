"""``python -m fastnn info``: what runs here, and why; the lines to send with a question."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

from fastnn_kernels import store, system
from fastnn_kernels.cpu import prebuilt
from fastnn_kernels.cpu.host import compiled_for
from fastnn_kernels.units import all_units

import fastnn
from fastnn import config
from fastnn.engine import select
from fastnn.errors import near_matches

PREFIX = "FASTNN_"
VARIABLES = ("FASTNN_CACHE_DIR", "FASTNN_DATA", "FASTNN_DEVICE", "FASTNN_PREBUILT", "FASTNN_SAMPLE_MEMORY")
"""Of the environment: where kernels are kept; data for lessons and benchmarks; the device; whether prebuilt kernels are used; the
memory of a GPU that samples may take."""


def report() -> str:
    """The whole report, one ``name  value`` a line."""
    rows = {
        "fastnn": f"{fastnn.__version__}  ({Path(fastnn.__file__).parent})",
        "Python": f"{platform.python_version()}  ({sys.executable})",
        "packages": ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba", "llvmlite", "matplotlib")),
        "system": platform.platform(),
        "CPU": processor(),
        "kernels": kernels(),
        "threads": threads(),
        "device": device(),
        "float type": config.floatx(),
        "cache": cache(),
        "variables": variables(),
        "GPU": gpu(),
        "name": namesakes(),
    }
    width = max(map(len, rows))
    return "\n".join(f"{name:{width}}  {value}" for name, value in rows.items())


def version(distribution: str) -> str:
    """The installed version, without importing the package."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


def processor() -> str:
    """The CPU that kernels are compiled for, and which of its vector instructions they use."""
    name, features = compiled_for()
    return f"{name}: {', '.join(features) or 'no vector instructions known'}"


def kernels() -> str:
    """Where the kernels of the CPU come from: the package, or a compilation on this machine."""
    units = all_units(config.FLOAT_TYPES)
    try:
        found, level = prebuilt.read(units), prebuilt.level()
    except ValueError as error:
        return str(error)
    compiled = f"compiled for {compiled_for()[0]}"
    if len(found) == len(units):
        return f"prebuilt for {level}"
    return f"{len(found)} of {len(units)} prebuilt for {level}, the others {compiled}" if found else compiled


def threads() -> str:
    """Threads a run may use, of the cores that there are."""
    quota = system.cpu_quota()
    limit = "" if quota is None else f", the container's quota is {quota:g}"
    return f"{config.num_threads()} (usable cores {system.usable_cores()} of {os.cpu_count()}{limit})"


def cache() -> str:
    """Where compiled kernels are kept, and how many there are."""
    folder = system.cache_directory()
    if folder is None:
        return "none: this user has no home folder; set FASTNN_CACHE_DIR"
    files = store.kept(folder)
    chosen = " (FASTNN_CACHE_DIR)" if os.environ.get("FASTNN_CACHE_DIR") else ""
    size = sum(file.stat().st_size for file in files) / 1e6
    return f"{folder}{chosen}: {len(files)} kernels, {size:.1f} MB{unusable(folder)}"


def unusable(folder: Path) -> str:
    """Why a cache directory cannot be used; "" if it can, or could be made."""
    if not folder.exists():
        parent = next(parent for parent in folder.parents if parent.exists())
        return "" if os.access(parent, os.W_OK) else ", cannot be made"
    try:
        system.private_directory(folder)
    except OSError as error:
        return f", cannot be used ({error})"
    return "" if os.access(folder, os.W_OK) else ", cannot be written"


def variables() -> str:
    """The variables of the environment that are meant for fastnn, and which of them mean nothing."""
    names = sorted(name for name in os.environ if name.startswith(PREFIX))
    return ", ".join(name if name in VARIABLES else f"{name} (unknown{_meant(name)})" for name in names) or "none"


def _meant(name: str) -> str:
    close = near_matches(name.removeprefix(PREFIX), [known.removeprefix(PREFIX) for known in VARIABLES], count=1)
    return f": {PREFIX}{close[0]}?" if close else ""


def device() -> str:
    """The device of models compiled without ``device=``, and whether it can be used; the line of the GPU says why not."""
    try:
        name = config.device()
        select.get(name)
    except ValueError as error:
        return str(error)
    except RuntimeError:
        return f"{name}, cannot be used on this machine"
    return name


def gpu() -> str:
    """The GPU that device "cuda" uses, or why it cannot be used."""
    from fastnn_kernels.cuda import device

    return device.describe()


def namesakes() -> str:
    """Whether another distribution installs a package called ``fastnn``."""
    providers = sorted(set(metadata.packages_distributions().get("fastnn", [])) - {"fastnn-numba"})
    if providers:
        names = " ".join(providers)
        return f"also installed by {names}: pip uninstall {names} fastnn-numba, then install fastnn-numba again"
    return "no other distribution installs a package called fastnn"
