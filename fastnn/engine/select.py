"""The one place where device names are compared."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module

from fastnn.config import DEVICES, unknown_device
from fastnn.engine.base import Engine


def get(device: str) -> Engine:
    """The engine called ``device``, one per process.

    Raises
    ------
    TypeError, ValueError
        For a name that is not in `fastnn.config.DEVICES`.
    RuntimeError
        For a device that this machine lacks, saying what is missing.
    """
    if device not in DEVICES:
        raise unknown_device(device)
    return _engine(device)


@cache
def _engine(device: str) -> Engine:
    if device == "cpu":
        from fastnn.engine.cpu import CpuEngine

        return CpuEngine()
    if device == "cuda":
        from fastnn_kernels.cuda import device as gpu

        from fastnn.engine.cuda import CudaEngine

        return CudaEngine(gpu)
    from fastnn.engine.reference import ReferenceEngine

    return ReferenceEngine()


def executor(device: str) -> Callable[..., None]:
    """The function that runs one instruction on ``device``, such as `fastnn_kernels.cpu.execute.execute`; errors as of `get`."""
    get(device)
    return import_module(f"fastnn_kernels.{device}.execute").execute
