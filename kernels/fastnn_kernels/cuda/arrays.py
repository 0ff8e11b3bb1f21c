"""Arrays in the GPU's memory: what functions return there, for other libraries to take."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.cuda import device
from fastnn_kernels.cuda.streams import in_order, own_stream

LEGACY_STREAM = 1
"""Handle of the stream that is meant where a library names none."""

CUDA = 2
"""DLPack's number for memory of a GPU."""


class View(NamedTuple):
    """Where another library's array lies: strides in elements, None if C-contiguous; ``owner`` keeps it there."""

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...] | None
    dtype: np.dtype
    readonly: bool
    device: int
    owner: Any


class DeviceArray:
    """An array in the GPU's memory, made by `to_device` and by every function that is given arrays there.

    CuPy, PyTorch, JAX and Numba take it without a copy: ``cupy.asarray(array)``, ``torch.from_dlpack(array)``,
    ``jax.dlpack.from_dlpack(array)``, ``numba.cuda.as_cuda_array(array)``. It computes nothing by itself.

    Parameters
    ----------
    address : int
        Where the first element lies.
    shape : tuple of int
        Sizes of its axes.
    dtype : dtype
        Of its elements.
    owner : object
        What keeps the memory.
    strides : tuple of int, optional
        Steps in elements, not below 0; None for an array that is C-contiguous.
    stream : int, optional
        Handle of the stream in whose order the memory is used; None where nobody said, and whoever uses the memory waits for
        the end of that.
    readonly : bool
        Whether nobody may write to it.

    Attributes
    ----------
    address, shape, dtype, owner, stream, readonly
        As given.
    strides : tuple of int
        In elements.
    ndim, size, nbytes : int
        Axes, elements, bytes of all elements.

    Raises
    ------
    TypeError
        If it is used as an array of the host, in arithmetic for example, or copied or pickled: `copy_to_host` makes a copy.

    Examples
    --------
    >>> array = to_device(np.ones((2, 3), np.float32))  # doctest: +SKIP
    >>> array.copy_to_host().sum()  # doctest: +SKIP
    np.float32(6.0)
    """

    __slots__ = ("__weakref__", "address", "dtype", "ndim", "owner", "readonly", "shape", "size", "stream", "strides")

    __array_ufunc__ = None
    """NumPy's arithmetic refuses it instead of fetching it."""

    def __init__(
        self,
        address: int,
        shape: tuple[int, ...],
        dtype: Any,
        owner: Any,
        *,
        strides: tuple[int, ...] | None = None,
        stream: int | None = None,
        readonly: bool = False,
    ) -> None:
        self.address, self.shape, self.dtype, self.owner = address, tuple(shape), np.dtype(dtype), owner
        self.ndim, self.size = len(self.shape), prod(self.shape)
        self.strides = _row_major(self.shape) if strides is None else tuple(strides)
        self.stream, self.readonly = stream, readonly

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return self.size * self.dtype.itemsize

    @property
    def span(self) -> int:
        """Bytes from the first element to the end of the last one; `nbytes` where the array is contiguous."""
        if not self.size:
            return 0
        last = sum((size - 1) * step for size, step in zip(self.shape, self.strides, strict=True))
        return (last + 1) * self.dtype.itemsize

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie one after another in C's order; strides of axes of length 1 do not matter."""
        steps = zip(self.shape, self.strides, _row_major(self.shape), strict=True)
        return self.size == 0 or all(size == 1 or step == wanted for size, step, wanted in steps)

    @property
    def T(self) -> DeviceArray:  # noqa: N802
        """The axes in the opposite order, over the same memory."""
        return self._part(self.address, self.shape[::-1], self.strides[::-1])

    def reshape(self, *shape: Any) -> DeviceArray:
        """The elements in another shape, over the same memory; ValueError where it has none of that shape, or is not contiguous."""
        sizes = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int | np.integer) else shape
        if -1 in sizes:
            rest = -prod(sizes)
            sizes = tuple(self.size // rest if size == -1 and rest else size for size in sizes)
        if prod(sizes) != self.size or min(sizes, default=0) < 0:
            raise ValueError(f"an array of shape {self.shape} cannot become one of shape {shape}")
        if not self.contiguous:
            raise ValueError(f"an array of shape {self.shape} and strides {self.strides} cannot be reshaped without a copy")
        return self._part(self.address, sizes, None)

    def view(self, dtype: Any) -> DeviceArray:
        """The same memory as elements of ``dtype``, which are as large."""
        found = np.dtype(dtype)
        if found.itemsize != self.dtype.itemsize:
            raise ValueError(f"elements of {self.dtype} are not as large as those of {found}")
        return DeviceArray(
            self.address, self.shape, found, self.owner, strides=self.strides, stream=self.stream, readonly=self.readonly
        )

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without axes has no length")
        return self.shape[0]

    def __getitem__(self, rows: slice) -> DeviceArray:
        """``array[start:stop]``, over the same memory."""
        if not isinstance(rows, slice) or not self.shape:
            raise TypeError(f"array[{rows!r}]: an array on the GPU gives rows, array[start:stop]; copy_to_host() has all of NumPy")
        start, stop, step = rows.indices(self.shape[0])
        if step != 1:
            raise ValueError(f"array[start:stop:{step}]: the rows of a part lie side by side")
        shape = (max(stop - start, 0), *self.shape[1:])
        return self._part(self.address + start * self.strides[0] * self.dtype.itemsize, shape, self.strides)

    def _part(self, address: int, shape: tuple[int, ...], strides: tuple[int, ...] | None) -> DeviceArray:
        return DeviceArray(address, shape, self.dtype, self.owner, strides=strides, stream=self.stream, readonly=self.readonly)

    # -- to the host -----------------------------------------------------------------------------------------------------

    def copy_to_host(self) -> NDArray[Any]:
        """A NumPy array with the same elements."""
        if not self.size:
            return np.empty(self.shape, self.dtype)
        found, stream = np.empty(self.span, np.uint8), own_stream()
        with in_order(stream, self):
            stream.download(found, self.address)
            stream.synchronize()
        steps = [step * self.dtype.itemsize for step in self.strides]
        return np.array(np.ndarray(self.shape, self.dtype, found, strides=steps), order="C", copy=None)

    numpy = copy_to_host

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("an array on the GPU comes to the host as a copy")
        array = self.copy_to_host()
        return array if dtype is None else array.astype(dtype, copy=False)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("an array on the GPU is neither copied nor pickled; copy_to_host() makes an array that is")

    def __bool__(self) -> NoReturn:
        raise TypeError("an array on the GPU is neither true nor false; copy_to_host() looks at it")

    def __repr__(self) -> str:
        return f"<DeviceArray shape={self.shape}, dtype={self.dtype}>"

    # -- to other libraries ----------------------------------------------------------------------------------------------

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        """Version 3: https://nvidia.github.io/numba-cuda/user/cuda_array_interface.html."""
        steps = None if self.contiguous else tuple(step * self.dtype.itemsize for step in self.strides)
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": self.dtype.str,
            "data": (self.address if self.size else 0, self.readonly),
            "strides": steps,
            "stream": self.stream,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA, 0

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """As the array API standard says; ``stream``, by default the legacy one, waits until the memory may be used."""
        if copy or dl_device not in (None, self.__dlpack_device__()):
            raise BufferError(f"the array is handed over where it lies, without a copy; got dl_device={dl_device}, copy={copy}")
        reader = LEGACY_STREAM if stream is None else stream
        if reader == 0:
            raise ValueError("stream=0 is ambiguous: 1 is the legacy default stream, 2 the thread's own")
        if self.stream is not None and reader not in (-1, self.stream):
            device.order(self.stream, reader)
        capsule = device.export(self, max_version)
        self.stream = None  # what the other library does with the memory from now on is in an order that nobody knows here
        return capsule


def _row_major(shape: tuple[int, ...]) -> tuple[int, ...]:
    steps = [1]
    for size in reversed(shape[1:]):
        steps.append(steps[-1] * size)
    return tuple(reversed(steps[: len(shape)]))


def empty(shape: tuple[int, ...], dtype: Any) -> DeviceArray:
    """A new array of any content, for this thread's stream."""
    stream, dtype = own_stream(), np.dtype(dtype)
    buffer = device.allocate(prod(shape) * dtype.itemsize)
    return DeviceArray(buffer.address, shape, dtype, (buffer, stream), stream=stream.handle)


def to_device(array: Any) -> DeviceArray:
    """A copy of an array of the host, in the memory of the GPU.

    Parameters
    ----------
    array : array_like
        Numbers or truth values of any dtype.

    Returns
    -------
    DeviceArray
        C-contiguous.

    Raises
    ------
    TypeError
        If it holds anything else: objects, strings, dates.
    RuntimeError
        When no GPU can be used, saying what is missing.
    MemoryError
        When it does not fit.

    Examples
    --------
    >>> to_device(np.ones((2, 3), np.float32))  # doctest: +SKIP
    <DeviceArray shape=(2, 3), dtype=float32>
    """
    host = np.asarray(array, order="C")
    if host.dtype.kind not in "biufc" and host.dtype.name != "bfloat16":
        raise TypeError(f"array must hold numbers, got {host.dtype}; array.astype(float) makes such a copy")
    result, stream = empty(host.shape, host.dtype), own_stream()
    stream.upload(result.address, host)
    stream.synchronize()  # page-locked memory is read until then
    return result


def copy(source: DeviceArray, target: DeviceArray) -> None:
    """``target[...] = source``; both are contiguous."""
    stream = own_stream()
    with in_order(stream, source, target):
        stream.copy(target.address, source.address, source.nbytes)
