"""What every function does with the arrays it is given: checks, and copies where a kernel cannot work on them directly."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn_kernels import system
from fastnn_kernels.cpu import cost
from fastnn_kernels.operands import MOST_WORKERS, integer

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

BLOCK_NS = 16.0
"""About the least work of one block, the unit that is split among workers; a worker without a block does nothing."""


def floats(name: str, value: ArrayLike, like: NDArray | None = None, first: str = "") -> NDArray:
    """``value`` as an array of float32 or float64, of the dtype of ``like``, which is the argument ``first``."""
    array = np.asarray(value)
    if array.dtype not in FLOATS:
        raise TypeError(f"{name} must be float32 or float64, got {array.dtype}; np.asarray({name}, np.float32) makes such a copy")
    if like is not None and array.dtype != like.dtype:
        raise TypeError(f"{name} is {array.dtype}, but {first} is {like.dtype}; {name}.astype({first}.dtype) makes them equal")
    return array


def bfloat16(name: str, value: ArrayLike) -> NDArray[np.uint16]:
    """``value``, an array of bfloat16 numbers or of their bits, as their bits."""
    array = np.asarray(value)
    if array.dtype.name == "bfloat16":
        return array.view(np.uint16)
    if array.dtype != np.uint16:
        raise TypeError(f"{name} must be bfloat16, or its bits as uint16, got {array.dtype}; to_bfloat16({name}) rounds float32")
    return array


def direct(array: NDArray) -> bool:
    """Whether a kernel can work on the array itself."""
    return array.flags.c_contiguous and array.flags.aligned


def contiguous(array: NDArray) -> NDArray:
    """The array, or a copy that a kernel can read."""
    return array if direct(array) else np.array(array, order="C")


def check_shape(name: str, array: NDArray, shape: tuple[int, ...], why: str) -> None:
    """Refuse an array of another shape; ``why`` says where the shape comes from."""
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, {why}, got {array.shape}")


def check_rows(name: str, array: NDArray) -> None:
    """Refuse an array without a last axis of at least one element."""
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have at least one element along its last axis, got shape {array.shape}")


def rows_of(array: NDArray) -> tuple[int, int]:
    """``(M, C)``: how many rows the array has along its last axis, and how long they are."""
    return array.size // array.shape[-1], array.shape[-1]


def check_written(name: str, array: Any, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse what a result cannot be written to."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{name} is written in place and must be a NumPy array, got {type(array).__name__}")
    if array.dtype != dtype:
        raise TypeError(f"{name} must be {dtype}, that of the result, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, that of the result, got {array.shape}")
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only; give an array that may be written")


def result_array(
    out: NDArray | None, shape: tuple[int, ...], dtype: np.dtype, *inputs: NDArray | None, name: str = "out"
) -> NDArray:
    """The array that a kernel writes: ``out`` unless it is absent, not contiguous or shares memory with an input."""
    if out is None:
        return np.empty(shape, dtype)
    check_written(name, out, shape, dtype)
    shared = any(array is not None and np.may_share_memory(out, array) for array in inputs)
    return out if direct(out) and not shared else np.empty(shape, dtype)


def deliver(result: NDArray, out: NDArray | None) -> NDArray:
    """``out`` with the result in it; the result itself when there is no ``out``."""
    if out is None or out is result:
        return result
    out[...] = result
    return out


def check_apart(read: dict[str, NDArray | None], written: dict[str, NDArray | None]) -> None:
    """Refuse written arrays that share memory with each other or with one that is read."""
    pairs = [*combinations(written.items(), 2), *((one, other) for one in written.items() for other in read.items())]
    for (name, array), (other_name, other) in pairs:
        if array is not None and other is not None and np.shares_memory(array, other):
            raise ValueError(f"{name} and {other_name} share memory; each must have its own")


def choose_workers(workers: int | None, work_ns: float) -> int:
    """The workers that the caller asks for, but no more than there are blocks; for None, as many as the work is worth."""
    if workers is None:
        return 1 if work_ns < cost.RUN_NS else cost.workers_for(work_ns, 1, system.usable_cores())
    return min(integer("workers", workers, 1, MOST_WORKERS, also="None or "), 1 + int(work_ns / BLOCK_NS))
