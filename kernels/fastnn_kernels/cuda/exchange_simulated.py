"""Arrays on the simulator's device, by DLPack and by the CUDA array interface. The same names as in `exchange`.

Its memory is the host's, so NumPy reads and writes the capsules.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from fastnn_kernels.cuda.arrays import DeviceArray, View


class _OnHost:
    """A capsule whose device is said to be the host."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule


def view(value: Any, stream: int) -> View:
    """The array ``value``; its library is told the stream that will read it."""
    if hasattr(value, "__dlpack__"):
        array = np.from_dlpack(_OnHost(value.__dlpack__(stream=stream, max_version=(1, 0))))
        strides = tuple(step // array.itemsize for step in array.strides)
        device = value.__dlpack_device__()[1]
        return View(array.ctypes.data, array.shape, strides, array.dtype, not array.flags.writeable, device, (array, value))
    found = value.__cuda_array_interface__
    dtype, (address, readonly) = np.dtype(found["typestr"]), found["data"]
    shape, steps = tuple(found["shape"]), found.get("strides")
    return View(address, shape, _in_elements(steps, len(shape), dtype.itemsize), dtype, readonly, 0, value)


def _in_elements(strides: tuple[int, ...] | None, axes: int, item_bytes: int) -> tuple[int, ...] | None:
    """The interface's strides; refused where cuda.core refuses them."""
    if strides is None:
        return None
    if len(strides) != axes:
        raise ValueError(f"shape has {axes} sizes, but strides has {len(strides)} elements")
    if any(step % item_bytes for step in strides):
        raise ValueError("strides must be divisible by itemsize")
    return tuple(step // item_bytes for step in strides)


def export(array: DeviceArray, max_version: tuple[int, int] | None) -> Any:
    """A DLPack capsule that keeps ``array``; its device is the host."""
    memory: Any = (ctypes.c_byte * max(array.span, 1)).from_address(array.address)
    memory.owner = array
    steps = [step * array.dtype.itemsize for step in array.strides]
    return np.ndarray(array.shape, array.dtype, memory, strides=steps).__dlpack__(max_version=max_version)
