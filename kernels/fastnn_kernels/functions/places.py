"""Where arrays lie, on the host or on the GPU: what is done with them in either place, and what is said when they are mixed."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn_kernels.cuda import arrays as on_gpu
from fastnn_kernels.cuda.arrays import DeviceArray
from fastnn_kernels.cuda.call import call as call
from fastnn_kernels.cuda.call import scratch as scratch
from fastnn_kernels.cuda.foreign import read

CASTS = "{name}.astype('float32') of CuPy's and JAX's, {name}.float() of PyTorch's"
"""How other libraries change a dtype on the GPU."""


def apart(name: str, array: Any, first: str) -> str:
    """What is said when the arguments ``name`` and ``first`` do not lie in the same place."""
    if isinstance(array, DeviceArray):
        return f"{name} lies on the GPU, but {first} on the host; copy either to where the other is"
    return f"{name} lies on the host, but {first} on the GPU; fastnn_kernels.to_device({name}) makes a copy there"


def scattered(name: str) -> str:
    """What is said of an array on the GPU whose elements do not lie one after another."""
    return (
        f"{name} lies on the GPU and is not C-contiguous; {name}.contiguous() of PyTorch's, cupy.ascontiguousarray({name}) makes "
        "such a copy"
    )


def empty(shape: tuple[int, ...], dtype: np.dtype, like: Any) -> Any:
    """A new array, where ``like`` lies."""
    return np.empty(shape, dtype) if isinstance(like, np.ndarray) else on_gpu.empty(shape, dtype)


def beside(array: np.ndarray, like: Any) -> Any:
    """``array``, an array of the host, where ``like`` lies."""
    return array if isinstance(like, np.ndarray) else on_gpu.to_device(array)


def copy(source: Any, target: Any) -> None:
    """``target[...] = source``, both in one place; on the GPU not where they are the same memory."""
    if isinstance(source, np.ndarray):
        target[...] = source
        return
    found = read(target, "out")
    if found.address != source.address:
        on_gpu.copy(source, found)


def may_share_memory(one: Any, other: Any) -> bool:
    """Whether the bounds of two arrays in one place overlap."""
    if isinstance(one, np.ndarray):
        return np.may_share_memory(one, other)
    return one.address < other.address + other.span and other.address < one.address + one.span


def shares_memory(one: Any, other: Any) -> bool:
    """Whether two arrays in one place have an element in common; on the GPU they are contiguous, and their bounds tell."""
    return np.shares_memory(one, other) if isinstance(one, np.ndarray) else may_share_memory(one, other)
