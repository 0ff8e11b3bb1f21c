"""What every function does with the arrays it is given: checks, and copies where a kernel cannot work on them directly.

Arrays of the host are asked for first: ``isinstance(array, DeviceArray)`` takes NumPy's arrays three times as long as
``isinstance(array, np.ndarray)``, and a small call has many such questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels import system
from fastnn_kernels.cpu import cost
from fastnn_kernels.cpu.execute import call
from fastnn_kernels.cuda.arrays import DeviceArray
from fastnn_kernels.cuda.foreign import on_device, read
from fastnn_kernels.functions import places
from fastnn_kernels.operands import MOST_WORKERS, integer

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))

BLOCK_NS = 16.0
"""About the least work of one block, the unit that is split among workers; a worker without a block does nothing."""


def given(name: str, value: Any, like: Any = None, first: str = "") -> Any:
    """``value`` as an array where it lies, which is where ``like`` does, the argument ``first``."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(f"{name} is a masked array that hides values; {name}.filled(number) puts a number in their places")
    array = value if type(value) is np.ndarray else read(value, name) if on_device(value) else np.asarray(value)
    if like is not None and isinstance(array, np.ndarray) != isinstance(like, np.ndarray):
        raise TypeError(places.apart(name, array, first))
    return array


def floats(name: str, value: Any, like: Any = None, first: str = "", *, matrix: bool = False) -> Any:
    """``value`` as an array of float32 or float64, of the dtype and in the place of ``like``, which is the argument ``first``.

    ``matrix``: a transposed one is read as it is, also on the GPU, where no other layout is.
    """
    if type(value) is np.ndarray and value.dtype in FLOATS and (like is None or _alike(value, like)):
        return value
    array = given(name, value, like, first)
    if array.dtype not in FLOATS:
        advice = f"np.asarray({name}, np.float32)" if isinstance(array, np.ndarray) else places.CASTS.format(name=name)
        copy = f"; {advice} makes such a copy" if array.dtype.kind in "biufO" else ""
        raise TypeError(f"{name} must be float32 or float64, got {array.dtype}{copy}")
    if like is not None and array.dtype != like.dtype:
        raise TypeError(f"{name} is {array.dtype}, but {first} is {like.dtype}; {name}.astype({first}.dtype) makes them equal")
    if not isinstance(array, np.ndarray) and not (array.contiguous or (matrix and array.T.contiguous)):
        raise ValueError(places.scattered(name))
    return array


def _alike(array: NDArray, other: Any) -> bool:
    """Whether both are plain arrays of the host, of the same dtype."""
    return type(other) is np.ndarray and array.dtype is other.dtype


def bfloat16(name: str, value: Any, like: Any = None, first: str = "") -> Any:
    """``value``, an array of bfloat16 numbers or of their bits, as their bits, in the place of ``like``, the argument ``first``."""
    array = given(name, value, like, first)
    if array.dtype.name != "bfloat16" and array.dtype != np.uint16:
        raise TypeError(f"{name} must be bfloat16, or its bits as uint16, got {array.dtype}; to_bfloat16({name}) rounds float32")
    if not isinstance(array, np.ndarray) and not (array.contiguous or array.T.contiguous):
        raise ValueError(places.scattered(name))
    return array.view(np.uint16)


def direct(array: Any) -> bool:
    """Whether a kernel can work on the array itself."""
    if not isinstance(array, np.ndarray):
        return array.contiguous
    flags = array.flags
    return flags.c_contiguous and flags.aligned


def contiguous(array: Any) -> Any:
    """The array, or a copy that a kernel can read; `floats` and `check_written` let those on the GPU through that need none."""
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


def check_written(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype, like: Any, first: str) -> Any:
    """What a result is written to, as an array where ``like`` lies, the argument ``first``; refused where it cannot be."""
    if type(value) is type(like) is np.ndarray and value.dtype is dtype and value.shape == shape and value.flags.carray:
        return value  # contiguous, aligned and writeable: a small call would feel the questions below
    if not isinstance(value, np.ndarray) and not on_device(value):
        kind = "an array on the GPU" if isinstance(like, DeviceArray) else "a NumPy array"
        raise TypeError(f"{name} is written in place and must be {kind}, got {type(value).__name__}")
    array = value if isinstance(value, np.ndarray) else read(value, name)
    if isinstance(array, np.ndarray) != isinstance(like, np.ndarray):
        raise TypeError(places.apart(name, array, first))
    if array.dtype != dtype:
        raise TypeError(f"{name} must be {dtype}, that of the result, got {array.dtype}")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, that of the result, got {array.shape}")
    if not array.flags.writeable if isinstance(array, np.ndarray) else array.readonly:
        raise ValueError(f"{name} is read-only; give an array that may be written")
    if 0 in array.strides and array.size and any(step == 0 and size > 1 for step, size in zip(array.strides, shape, strict=True)):
        raise ValueError(f"{name} has elements that share memory; give an array without strides of 0")
    if not isinstance(array, np.ndarray) and not array.contiguous:
        raise ValueError(places.scattered(name))
    return array


def result_array(out: Any, shape: tuple[int, ...], dtype: np.dtype, *inputs: Any, first: str, name: str = "out") -> Any:
    """The array that a kernel writes: ``out`` unless it is absent, not contiguous or shares memory with an input.

    It lies where the first of ``inputs`` does, the argument ``first``.
    """
    like = inputs[0]
    if out is None:
        return places.empty(shape, dtype, like)
    target = check_written(name, out, shape, dtype, like, first)
    shared = any(array is not None and places.may_share_memory(target, array) for array in inputs)
    return target if direct(target) and not shared else places.empty(shape, dtype, like)


def deliver(result: Any, out: Any) -> Any:
    """``out`` with the result in it; the result itself when there is no ``out``."""
    if out is None or out is result:
        return result
    places.copy(result, out)
    return out


def check_apart(read: dict[str, Any], written: dict[str, Any]) -> None:
    """Refuse written arrays that share memory with each other or with one that is read."""
    pairs = [*combinations(written.items(), 2), *((one, other) for one in written.items() for other in read.items())]
    for (name, array), (other_name, other) in pairs:
        if array is not None and other is not None and places.shares_memory(array, other):
            raise ValueError(f"{name} and {other_name} share memory; each must have its own")


def run(
    op: str,
    dtype: np.dtype,
    operands: Sequence[Any],
    sizes: Sequence[int],
    attributes: Sequence[float],
    workers: int | None,
    work_ns: float,
) -> None:
    """Run an instruction of the float type ``dtype`` where its operands lie, the first of which says where."""
    if isinstance(operands[0], np.ndarray):
        call(op, dtype, operands, sizes, attributes, choose_workers(workers, work_ns))
    else:
        blocks = None if workers is None else integer("workers", workers, 1, MOST_WORKERS, also="None or ")
        places.call(op, dtype, operands, sizes, attributes, blocks)


def choose_workers(workers: int | None, work_ns: float) -> int:
    """The workers that the caller asks for, but no more than there are blocks; for None, as many as the work is worth."""
    if workers is None:
        return 1 if work_ns < cost.RUN_NS else cost.workers_for(work_ns, 1, system.usable_cores())
    return min(integer("workers", workers, 1, MOST_WORKERS, also="None or "), 1 + int(work_ns / BLOCK_NS))
