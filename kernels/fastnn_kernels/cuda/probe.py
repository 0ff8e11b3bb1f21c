"""Why no GPU can be used, told without importing what may be missing: the packages, the driver, the architecture."""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastnn_kernels import system

OLDEST = (7, 5)
"""The compute capability of Turing, the oldest that CUDA 13 compiles for."""

EXTRAS = "pip install 'fastnn-numba[cuda13]' (driver 580 or newer) or 'fastnn-numba[cuda12]' (driver 525 or newer)"


FORKED = (
    "this process was forked from one that used the GPU, and cannot use it: start processes with "
    "multiprocessing.get_context('spawn'), or use the GPU in the children alone"
)

_used = _forked = False


def _after_fork() -> None:
    global _forked
    _forked = _used


system.at_fork(after_in_child=_after_fork)


def forked() -> bool:
    """Whether this process was forked from one that used the GPU."""
    return _forked


def first_device() -> Any:
    """cuda.core's device 0; from now on a forked child has no GPU. RuntimeError in such a child."""
    global _used
    if _forked:
        raise RuntimeError(FORKED)
    from cuda.core import Device

    _used = True
    return Device(0)


@cache
def _library() -> ctypes.CDLL | None:
    try:
        return ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None


def driver_version() -> tuple[int, int] | None:
    """The newest CUDA that the installed driver runs; None without a driver."""
    number, library = ctypes.c_int(), _library()
    if library is None or library.cuDriverGetVersion(ctypes.byref(number)):
        return None
    return number.value // 1000, number.value % 1000 // 10


def package_version(name: str) -> str | None:
    """The version of an installed distribution."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def why_not() -> str | None:
    """Why no GPU can be used, and what would do; None: one can."""
    if forked():
        return FORKED
    found = driver_version()
    driver = f"the driver runs CUDA {found[0]}.{found[1]}" if found else "no NVIDIA driver was found (libcuda.so.1)"
    if not package_version("numba-cuda") or importlib.util.find_spec("numba_cuda") is None:
        return f"numba-cuda is not installed: {EXTRAS}; {driver}"
    if found is None:
        return f"{driver}; numba-cuda {package_version('numba-cuda')} is installed"
    toolkit = (package_version("cuda-bindings") or "0").partition(".")[0]
    if int(toolkit) > found[0]:
        return f"the packages for CUDA {toolkit} are installed, but {driver}: {EXTRAS}"
    return _without_numba_cuda(driver) or _without_device(driver)


def _without_numba_cuda(driver: str) -> str | None:
    from numba import cuda

    if getattr(cuda, "implementation", "") != "NVIDIA":
        return f"numba's own, older CUDA target was imported: numba-cuda's .pth file is not read here (python -S, zipapp); {driver}"
    return None


def _without_device(driver: str) -> str | None:
    try:
        device = first_device()
        capability = tuple(device.compute_capability)
    except Exception as error:  # whatever the driver says
        return f"no GPU answers ({error}); {driver}"
    if capability < OLDEST:
        found, oldest = ("sm_{}{}".format(*numbers) for numbers in (capability, OLDEST))
        return f"{device.name} is {found}; {oldest} is the oldest that can be used; {driver}"
    return None
