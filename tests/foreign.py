"""Arrays of other libraries, as they lie on a GPU: stand-ins over the simulator's memory, with the protocols that each speaks."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from fastnn_kernels.cuda import device_simulated as simulated
from fastnn_kernels.cuda.arrays import CUDA
from numpy.typing import NDArray

LEGACY = 1


class Foreign:
    """The memory of an array, and who asked for it by which stream."""

    def __init__(self, values: Any, order: str = "C", readonly: bool = False, number: int = 0) -> None:
        host = np.asarray(values)
        self.buffer = simulated.allocate(host.nbytes)
        memory = (ctypes.c_byte * max(host.nbytes, 1)).from_address(self.buffer.address)
        memory.owner = self.buffer  # type: ignore[attr-defined]
        self.array: NDArray[Any] = np.ndarray(host.shape, host.dtype, memory, order=order)  # type: ignore[arg-type]
        self.array[...] = host
        self.readonly, self.number = readonly, number
        self.readers: list[Any] = []

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def interface(self, **more: Any) -> dict[str, Any]:
        strides = None if self.array.flags.c_contiguous else self.array.strides
        data = (self.array.ctypes.data if self.array.size else 0, self.readonly)
        return {"shape": self.array.shape, "typestr": self.array.dtype.str, "data": data, "strides": strides, **more}

    def capsule(self, stream: Any, max_version: Any) -> Any:
        self.readers.append(stream)
        view = self.array.view()
        view.flags.writeable = not self.readonly
        return view.__dlpack__(max_version=max_version)


class OfNumba(Foreign):
    """The CUDA array interface alone."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self.interface(version=3, stream=None)


class OfCupy(Foreign):
    """Both protocols; the interface says the stream."""

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self.interface(version=3, stream=LEGACY)

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self.number

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None) -> Any:
        return self.capsule(stream, max_version)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")


class OfTorch(OfCupy):
    """Both protocols; of the interface version 2, which knows no streams."""

    requires_grad = False

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        return self.interface(version=2)


class OfJax(Foreign):
    """DLPack alone; it comes to the host where NumPy asks."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, self.number

    def __dlpack__(self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None) -> Any:
        return self.capsule(stream, max_version)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.array, dtype)


LIBRARIES = (OfNumba, OfCupy, OfTorch, OfJax)
