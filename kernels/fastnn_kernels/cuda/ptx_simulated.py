"""The Python twin of `ptx`: the same names, for the threads of `simulator`."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.cuda.simulator import local

THREADS = 32
"""Threads of a simulated block: one warp, for tests that end."""

WARP = 32


def thread() -> int:
    return local.thread


def block() -> int:
    return local.block.number


def blocks() -> int:
    return local.block.blocks


def sync() -> None:
    local.block.wait(range(local.block.threads))


def _warp() -> range:
    first = local.thread // WARP * WARP
    return range(first, first + WARP)


def sync_warp() -> None:
    local.block.wait(_warp())


def _exchange(value: Any, source: int) -> Any:
    """What the thread ``source`` of the warp gave."""
    state, warp = local.block, _warp()
    state.values[local.thread] = value
    state.wait(warp)
    result = state.values[warp[source % WARP]]
    state.wait(warp)
    return result


def shuffle_xor(value: Any, mask: int) -> Any:
    return _exchange(value, local.thread % WARP ^ int(mask))


def shuffle(value: Any, lane: int) -> Any:
    return _exchange(value, int(lane))


def shared_array(dtype: Any, count: int) -> NDArray:
    """One array for each place in the source, full of 0xFF."""
    frame = sys._getframe(1)
    key = (frame.f_code.co_filename, frame.f_lineno, dtype, count)
    if key not in local.block.shared:
        local.block.shared[key] = np.full(count * np.dtype(dtype).itemsize, 0xFF, np.uint8).view(dtype)
    return local.block.shared[key]


def _array_maker(dtype: str) -> Callable[[int, tuple[int, ...]], NDArray]:
    def array_at(address: int, shape: tuple[int, ...]) -> NDArray:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        if size == 0:
            return np.empty(shape, dtype)
        return np.frombuffer((ctypes.c_uint8 * size).from_address(int(address)), dtype).reshape(shape)

    return array_at


array_float32 = _array_maker("float32")
array_float64 = _array_maker("float64")
array_int32 = _array_maker("int32")
array_int64 = _array_maker("int64")
array_uint8 = _array_maker("uint8")


def load_int(address: int) -> int:
    return ctypes.c_int64.from_address(int(address)).value


def load_float(address: int) -> float:
    return ctypes.c_double.from_address(int(address)).value


def dtype_of(value: Any) -> Any:
    return np.asarray(value).dtype.type


def unsigned(value: int) -> int:
    return int(value)


int64 = int
