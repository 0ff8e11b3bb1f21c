"""The one place where device names are compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from fastnn.config import unknown_device
from fastnn.engine.base import Engine


@cache
def get(device: str) -> Engine:
    """The engine called ``device``, one per process.

    Raises
    ------
    ValueError
        For a name that is not in `fastnn.config.DEVICES`.
    RuntimeError
        For a device that this machine lacks, saying what is missing.
    """
    if device == "cpu":
        from fastnn.engine.cpu import CpuEngine

        return CpuEngine()
    if device == "cuda":
        from fastnn_kernels.cuda import device as gpu

        from fastnn.engine.cuda import CudaEngine

        return CudaEngine(gpu)
    if device == "reference":
        from fastnn.engine.reference import ReferenceEngine

        return ReferenceEngine()
    raise unknown_device(device)


def executor(device: str) -> Callable[..., None]:
    """The function that runs one instruction on ``device``, such as `fastnn_kernels.cpu.execute.execute`; errors as of `get`."""
    get(device)
    return import_module(f"fastnn_kernels.{device}.execute").execute
