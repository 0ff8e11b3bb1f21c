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
    writable = "" if os.access(folder if folder.exists() else _nearest(folder), os.W_OK) else ", cannot be written"
    return f"{folder}{chosen}: {len(files)} kernels, {sum(file.stat().st_size for file in files) / 1e6:.1f} MB{writable}"


def _nearest(folder: Path) -> Path:
    return next(parent for parent in folder.parents if parent.exists())


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
