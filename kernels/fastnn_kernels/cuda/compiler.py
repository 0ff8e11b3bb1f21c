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
from fastnn_kernels.cuda.variants import MAP, variant_of
from fastnn_kernels.units import symbol

ENTRY = re.compile(r"\.entry\s+(\w+)")
ENVIRONMENTS = re.compile(r"^\.common .*NumbaEnv.*\n", re.MULTILINE)
"""Variables that Numba makes for every function and no kernel reads; their names count compilations."""

VERSION = re.compile(r"^\.version .*$", re.MULTILINE)

DRIVERS = ".version 8.0"
"""What the oldest driver of CUDA 12 assembles; Hopper's instructions are as old."""

_lock = threading.RLock()


def architecture(capability: tuple[int, int]) -> str:
    """``sm_90a`` for (9, 0): from Hopper on with the instructions of this very architecture, as numba-cuda compiles for a GPU."""
    major, minor = capability
    return f"sm_{major}{minor}{'a' if major >= 9 else ''}"


def entry_point(unit: str) -> tuple[Any, Callable[..., None]]:
    """The signature and the Python function of ``unit``."""
    function = entry_function(unit, {**vars(ptx), "int64": types.int64, "uint64": types.uint64})
    kinds = unit_parameters(unit).values()
    return types.void(*(types.uint64 if kind == MAP else getattr(types, kind) for kind in kinds)), function


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
    variant = variant_of(unit)
    with _compute_capability(capability):
        text, _ = cuda.compile(
            function,
            signature,
            device=False,
            abi="numba",
            cc=target,
            output="ptx",
            launch_bounds=(variant.threads if variant else ptx.THREADS, blocks_of(unit, capability)),
            fastmath=False,
        )
    (mangled,) = ENTRY.findall(text)
    return _maps_by_value(ENVIRONMENTS.sub("", text).replace(mangled, symbol(unit)), unit)


def _maps_by_value(text: str, unit: str) -> str:
    """PTX in which a parameter that is a tensor map holds its 128 bytes, and its address is taken where it was read."""
    for number, kind in enumerate(unit_parameters(unit).values()):
        name = rf"{symbol(unit)}_param_{number}\b"
        if kind == MAP:
            text = re.sub(rf"\.param \.u64 ({name})", r".param .align 64 .b8 \1[128]", text)
            read = rf"ld\.param\.[ub]64\s+(%\w+), \[({name})\];"
            text, count = re.subn(read, r"mov.b64 \1, \2;\n\tcvta.param.u64 \1, \1;", text)
            if not count:
                raise RuntimeError(f"unit {unit!r} does not read its parameter {number} as was expected: {text[:2000]}")
    return text


def compile_whole(unit: str, capability: tuple[int, int]) -> bytes:
    """``unit`` as PTX that the driver assembles.

    nvJitLink assembles for linking with other code, where there is no setmaxnreg, and each wgmma waits for the one before.
    """
    return VERSION.sub(DRIVERS, compile_ptx(unit, capability)).encode()


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
