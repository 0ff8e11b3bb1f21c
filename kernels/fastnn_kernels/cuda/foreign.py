"""Arrays of other libraries that lie on the GPU, as `DeviceArray`s."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn_kernels.cuda import device
from fastnn_kernels.cuda.arrays import CUDA, DeviceArray, View
from fastnn_kernels.cuda.streams import own_stream

CUDA_MANAGED = 13
"""DLPack's number for memory that a GPU and the host see."""

ON_HOST = "A copy on the host is {name}.cpu().numpy() of PyTorch's, {name}.get() of CuPy's, np.asarray({name}) of JAX's"
"""What to do with an array that lies on a GPU where none is used."""


VERSION = 3
"""Of the CUDA array interface."""


def _interface(value: Any) -> dict[str, Any]:
    """Its CUDA array interface; libraries raise errors of their own for arrays that have none."""
    try:
        return dict(getattr(value, "__cuda_array_interface__", None) or {})
    except Exception:  # it may have the other protocol
        return {}


def on_device(value: Any) -> bool:
    """Whether ``value`` is an array, of any library, that lies on a GPU."""
    if isinstance(value, np.ndarray | list | tuple | float | int | type):
        return False
    if (where := getattr(value, "__dlpack_device__", None)) is not None:
        return where()[0] in (CUDA, CUDA_MANAGED)
    return bool(_interface(value))


def read(value: Any, name: str) -> DeviceArray:
    """The array ``value``, for which `on_device` holds, as it lies; ``name`` is the argument's.

    Raises
    ------
    RuntimeError
        When no GPU can be used here.
    TypeError
        For a tensor that requires a gradient.
    ValueError
        For an array on another GPU, or one that cannot be read.
    """
    if isinstance(value, DeviceArray):
        return value
    if getattr(value, "requires_grad", False):
        raise TypeError(f"{name} requires a gradient, which is lost here; {name}.detach() is the same tensor without")
    if reason := device.why_not():
        raise RuntimeError(f"{name} lies on a GPU, and none can be used: {reason}. {ON_HOST.format(name=name)}")
    interface = _interface(value)
    if interface.get("mask") is not None:
        raise ValueError(f"{name} has a mask; fill what it hides first")
    if not hasattr(value, "__dlpack__") and interface.get("version") != VERSION:
        raise ValueError(f"{name} has version {interface.get('version')!r} of the CUDA array interface; {VERSION} is read")
    try:
        found = device.view(value, own_stream().handle)
    except Exception as error:  # whatever its library says
        raise ValueError(
            f"{name}, a {type(value).__name__}, cannot be read on the GPU: {error}. Of bfloat16 numbers give the bits: "
            f"{name}.view(torch.uint16) of PyTorch's, jax.lax.bitcast_convert_type({name}, 'uint16') of JAX's"
        ) from error
    _check_view(found, name)
    array = DeviceArray(
        *(found.address, found.shape, found.dtype, (found.owner, value)),
        strides=found.strides,
        stream=interface.get("stream"),
        readonly=found.readonly,
    )
    _check_memory(array, name)
    return array


def _check_view(found: View, name: str) -> None:
    """Refuse what no kernel can read."""
    if found.device != 0:
        raise ValueError(f"{name} lies on GPU {found.device}; GPU 0 alone is used: CUDA_VISIBLE_DEVICES says which one that is")
    if min(found.strides or (), default=0) < 0:
        raise ValueError(f"{name} has steps below 0, {found.strides}; make a contiguous copy of it")
    if not all(isinstance(size, int) and size >= 0 for size in found.shape):
        raise ValueError(f"{name} has the shape {found.shape}, whose sizes must be integers of at least 0")


def _check_memory(array: DeviceArray, name: str) -> None:
    """Refuse elements that cannot lie where they are said to."""
    address, span = array.address, array.span
    if span and (address == 0 or address % array.dtype.itemsize):
        raise ValueError(f"{name} lies at address {address:#x}, which no array of {array.dtype} can have")
    if span and not (device.known(address) and device.known(address + span - 1)):
        raise ValueError(f"{name} takes {span} bytes from address {address:#x} on, which are not all memory of the GPU")
