"""Arrays of other libraries on the GPU, by DLPack and by the CUDA array interface; cuda.core speaks both.

`exchange_simulated` has the same names.
"""

from __future__ import annotations

from typing import Any

from cuda.core import Buffer
from cuda.core.utils import StridedMemoryView

from fastnn_kernels.cuda.arrays import DeviceArray, View


def view(value: Any, stream: int) -> View:
    """The array ``value``; the stream with the handle ``stream`` waits until it may be read.

    DLPack comes first; of PyTorch's tensors cuda.core reads the fields.
    """
    found = StridedMemoryView.from_any_interface(value, stream_ptr=stream)
    if found.dtype is None:
        raise BufferError("NumPy has no dtype like its own")
    return View(found.ptr, found.shape, found.strides, found.dtype, found.readonly, found.device_id, found)


def export(array: DeviceArray, max_version: tuple[int, int] | None) -> Any:
    """A DLPack capsule that keeps ``array``; the caller has ordered the streams."""
    buffer = Buffer.from_handle(array.address, array.span, owner=array)
    strides = None if array.contiguous else array.strides
    found = StridedMemoryView.from_buffer(buffer, array.shape, strides, dtype=array.dtype, is_readonly=array.readonly)
    return found.__dlpack__(stream=-1, max_version=max_version)
