"""The compiler: one unit to one cubin, by numba-cuda. Needs neither a GPU nor a driver."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from cuda.core import Linker, LinkerOptions, ObjectCode
from numba import cuda
from numba.cuda import dispatcher, types

from fastnn_kernels.cuda import probe, ptx
from fastnn_kernels.cuda.adapters import entry_function, unit_parameters
from fastnn_kernels.cuda.kernels import blocks_of
from fastnn_kernels.units import symbol

ENTRY = re.compile(r"\.entry\s+(\w+)")
ENVIRONMENTS = re.compile(r"^\.common .*NumbaEnv.*\n", re.MULTILINE)
"""Variables that Numba makes for every function and no kernel reads; their names count compilations."""

_lock = threading.RLock()


def architecture(capability: tuple[int, int]) -> str:
    """``sm_90a`` for (9, 0): from Hopper on with the instructions of this very architecture, as numba-cuda compiles for a GPU."""
    major, minor = capability
    return f"sm_{major}{minor}{'a' if major >= 9 else ''}"


def entry_point(unit: str) -> tuple[Any, Callable[..., None]]:
    """The signature and the Python function of ``unit``."""
    function = entry_function(unit, {**vars(ptx), "int64": types.int64, "uint64": types.uint64})
    return types.void(*(getattr(types, kind) for kind in unit_parameters(unit).values())), function


@contextmanager
def _compute_capability(capability: tuple[int, int]) -> Iterator[None]:
    """Device functions are compiled for the device they find, and without one not at all; which one does not change their code."""
    with _lock:
        found, device = dispatcher.get_current_device, SimpleNamespace(compute_capability=capability)
        dispatcher.get_current_device = lambda: device
        try:
            yield
        finally:
            dispatcher.get_current_device = found


def compile_ptx(unit: str, capability: tuple[int, int]) -> str:
    """``unit`` as PTX, its entry named `symbol`."""
    signature, function = entry_point(unit)
    target = (*capability, "a") if capability[0] >= 9 else capability
    with _compute_capability(capability):
        text, _ = cuda.compile(
            function,
            signature,
            device=False,
            abi="numba",
            cc=target,
            output="ptx",
            launch_bounds=(ptx.THREADS, blocks_of(unit, capability)),
            fastmath=False,
        )
    (mangled,) = ENTRY.findall(text)
    return ENVIRONMENTS.sub("", text).replace(mangled, symbol(unit))


def compile_cubin(unit: str, capability: tuple[int, int]) -> tuple[bytes, str]:
    """``unit`` as machine code, and what the assembler tells of it: registers, shared and local memory, spills.

    Raises
    ------
    RuntimeError
        Where the assembler refuses what the compiler wrote: it names the versions of both.
    """
    name, text = architecture(capability), compile_ptx(unit, capability)
    try:
        linker = Linker(ObjectCode.from_ptx(text.encode(), name=unit), options=LinkerOptions(arch=name, verbose=True))
        return linker.link("cubin").code, linker.get_info_log()
    except Exception as error:  # cuda.core's, nvJitLink's or the driver's own
        reason = " ".join(str(error).replace("\0", "").split())
        versions = " and ".join(f"{package} {probe.package_version(package)}" for package in ("nvidia-nvvm", "nvidia-nvjitlink"))
        raise RuntimeError(
            f"unit {unit!r} cannot be assembled for {name}: {reason}; {versions} are installed, and both should be of one CUDA "
            f"version that the driver knows: pip install 'cuda-toolkit[nvvm,nvrtc]==13.0.*' 'nvidia-nvjitlink==13.0.*'"
        ) from error
