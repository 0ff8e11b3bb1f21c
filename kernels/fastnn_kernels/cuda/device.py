"""The device: its memory, what runs on it, and why it cannot be used. A GPU by `driver`, or the simulator's `device_simulated`.

    stream = Stream()
    buffer = allocate(array.nbytes)
    stream.upload(buffer.address, array)
    entry = load(["relu-float32"])["relu-float32"]
    stream.launch(entry, blocks, arguments)       # as `adapters.parameters` says
    graph = stream.capture([(entry, blocks, arguments), ...])
    graph.launch(times)
    stream.download(array, buffer.address)
    stream.synchronize()

Nothing is imported before it is used; without a usable GPU these names raise a RuntimeError that says what is missing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from fastnn_kernels.cuda import SIMULATED, probe

if TYPE_CHECKING:
    from fastnn_kernels.cuda.driver import (
        Buffer,
        Entry,
        Graph,
        Launch,
        Stream,
        allocate,
        known,
        load,
        memory_info,
        order,
        pinned,
        properties,
        ready,
    )
    from fastnn_kernels.cuda.exchange import export, view

__all__ = [
    "Buffer",
    "Entry",
    "Graph",
    "Launch",
    "Stream",
    "allocate",
    "available",
    "describe",
    "export",
    "known",
    "load",
    "memory_info",
    "order",
    "pinned",
    "properties",
    "ready",
    "view",
    "why_not",
]


def why_not() -> str | None:
    """Why no device can be used, and what would do; None: one can."""
    return None if SIMULATED else probe.why_not()


def available() -> bool:
    """Whether a device can be used; `why_not` says why it cannot."""
    return why_not() is None


def describe() -> str:
    """One line: the device and the packages that serve it, or what is missing."""
    if reason := why_not():
        return f"none: {reason}"
    found = import_module(__name__).properties()
    if SIMULATED:
        return found["name"]
    major, minor = found["compute_capability"]
    driver = "{}.{}".format(*(probe.driver_version() or (0, 0)))
    return (
        f"{found['name']}, sm_{major}{minor}, {found['multiprocessors']} multiprocessors, {found['memory'] / 2**30:.0f} GiB, "
        f"driver for CUDA {driver}, numba-cuda {probe.package_version('numba-cuda')}"
    )


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if reason := why_not():
        raise RuntimeError(f"no GPU can be used: {reason}")
    value = getattr(import_module(f"fastnn_kernels.cuda.{'device_simulated' if SIMULATED else 'driver'}"), name)
    globals()[name] = value
    return value
