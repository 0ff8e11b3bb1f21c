"""The Python twin of `ptx`: the same names, for the threads of `simulator`."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.cuda import THREADS as THREADS
from fastnn_kernels.cuda.simulator import local

WARP = 32


def device_function(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


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
        return np.asarray((ctypes.c_uint8 * size).from_address(int(address))).view(dtype).reshape(shape)

    return array_at


array_float32 = _array_maker("float32")
array_float64 = _array_maker("float64")
array_int32 = _array_maker("int32")
array_int64 = _array_maker("int64")
array_uint8 = _array_maker("uint8")
array_uint16 = _array_maker("uint16")


def load_int(address: int) -> int:
    return ctypes.c_int64.from_address(int(address)).value


load_word = load_int


def store_int(address: int, value: int) -> None:
    ctypes.c_int64.from_address(int(address)).value = int(value)


def load_float(address: int) -> float:
    return ctypes.c_double.from_address(int(address)).value


def dtype_of(value: Any) -> Any:
    return np.asarray(value).dtype.type


def unsigned(value: int) -> int:
    return int(value)


int32 = int64 = uint64 = again = int
uint16 = np.uint16


def address_of(array: NDArray) -> int:
    return array.ctypes.data if array.size else 0


def flat(array: NDArray) -> NDArray:
    return array.reshape(-1)


def short_words(array: NDArray) -> NDArray:
    return array.reshape(-1).view(np.uint16)


def words(array: NDArray) -> NDArray:
    return array.reshape(-1)[: array.size // 4 * 4].view(np.uint32)


def quad_alignment(item_bytes: int) -> int:
    return min(16, 4 * item_bytes)


def _vector(array: NDArray, index: int, count: int) -> NDArray:
    size, first = min(16, count * array.itemsize), int(index)
    if (array.ctypes.data + first * array.itemsize) % size:
        raise RuntimeError(f"the address of element {index} is no multiple of {size}")
    return array.reshape(-1)[first : first + count]


def load2(array: NDArray, index: int) -> tuple[Any, ...]:
    return tuple(_vector(array, index, 2))


def load4(array: NDArray, index: int) -> tuple[Any, ...]:
    return tuple(_vector(array, index, 4))


def store2(array: NDArray, index: int, values: tuple[Any, ...]) -> None:
    _vector(array, index, 2)[:] = values


def store4(array: NDArray, index: int, values: tuple[Any, ...]) -> None:
    _vector(array, index, 4)[:] = values


def bits_of(x: Any) -> int:
    return int(np.float32(x).view(np.uint32))


def widened(values: tuple[Any, ...]) -> tuple[Any, ...]:
    bits = np.array(values)
    return values if bits.dtype != np.uint16 else tuple((bits.astype(np.uint32) << 16).view(np.float32))


def zeros(dtype: Any, count: int) -> tuple[Any, ...]:
    return (dtype(0),) * count


def fma_outer(total: tuple[Any, ...], a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((np.array(total) + np.outer(a, b).reshape(-1)).astype(type(total[0])))


def architecture() -> int:
    return 80


def _copies() -> list[list[Callable[[], None]]]:
    """Groups of the thread's copies under way; the last one is not complete."""
    return local.block.copies.setdefault(local.thread, [[]])


def _copier(size: int) -> Callable[..., None]:
    def copy_async(target: NDArray, target_index: int, source: NDArray, source_index: int, count: int) -> None:
        """Done when it is waited for."""
        places = size // source.itemsize
        written, read = _vector(target, target_index, places), _vector(source, source_index, places)[:count] if count else 0

        def copy() -> None:
            written[:count], written[count:] = read, 0

        _copies()[-1].append(copy)

    return copy_async


copy4_async, copy16_async = _copier(4), _copier(16)


def copies_commit() -> None:
    _copies().append([])


def copies_wait(groups: int) -> None:
    under_way = _copies()
    while len(under_way) > groups + 1:
        for copy in under_way.pop(0):
            copy()


def arrive(address: int, count: int) -> int:
    word = ctypes.c_uint32.from_address(int(address))
    before = word.value
    word.value = 0 if before >= count - 1 else before + 1
    return before


def round_tf32(values: tuple[Any, ...]) -> tuple[Any, ...]:
    bits = np.array(values, np.float32).view(np.uint32)
    return tuple(((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32))


def _read_tf32(values: tuple[Any, ...]) -> NDArray:
    """What tensor cores read of float32 numbers."""
    return (np.array(values, np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32)[:, None]


def _warp_gives(value: Any) -> list[Any]:
    """What every lane of the warp gave."""
    state, warp = local.block, _warp()
    state.values[local.thread] = value
    state.wait(warp)
    given = [state.values[thread] for thread in warp]
    state.wait(warp)
    return given


def _load_matrices(array: NDArray, index: int, transposed: bool) -> tuple[Any, ...]:
    matrices, (g, t) = np.array(_warp_gives(_vector(array, index, 8)), np.uint32).reshape(4, 8, 8), divmod(local.thread % WARP, 4)
    mine = (matrices.transpose(0, 2, 1) if transposed else matrices)[:, g, 2 * t : 2 * t + 2]
    return tuple(mine[:, 0] | mine[:, 1] << 16)


def load_matrices(array: NDArray, index: int) -> tuple[Any, ...]:
    return _load_matrices(array, index, False)


def load_matrices_transposed(array: NDArray, index: int) -> tuple[Any, ...]:
    return _load_matrices(array, index, True)


def mma_tf32(total: tuple[Any, ...], a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return _mma(total, _read_tf32(a), _read_tf32(b))


def mma_bfloat16(total: tuple[Any, ...], a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    def pairs(registers: tuple[Any, ...]) -> NDArray:
        bits = np.array(registers, np.uint32)
        return np.stack([bits << 16, bits & 0xFFFF0000], axis=1).view(np.float32)

    return _mma(total, pairs(a), pairs(b))


def _mma(total: tuple[Any, ...], a: NDArray, b: NDArray) -> tuple[Any, ...]:
    """``total + a @ b``: every thread gives its numbers, one or two neighbouring terms in each register, and reads the tiles."""
    given, width = _warp_gives((a, b)), a.shape[1]
    left = np.array([rows for rows, _ in given]).reshape(8, 4, -1, 2, 2, width)  # g, t, tile, upper terms, lower rows, term
    right = np.array([columns for _, columns in given]).reshape(8, 4, -1, 2, width)  # g, t, tile, upper terms, term
    a_tiles = left.transpose(2, 4, 0, 3, 1, 5).reshape(-1, 16, 8 * width)
    b_tiles = right.transpose(2, 3, 1, 4, 0).reshape(-1, 8 * width, 8)
    products = np.einsum("mik,nkj->mnij", a_tiles, b_tiles, dtype=np.float64)
    g, t = divmod(local.thread % WARP, 4)
    mine = products[:, :, [g, g, g + 8, g + 8], [2 * t, 2 * t + 1, 2 * t, 2 * t + 1]]
    return tuple((np.array(total) + mine.reshape(-1)).astype(np.float32))


def mma_3xtf32(total: tuple[Any, ...], a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    (a_high, a_rest), (b_high, b_rest) = _split_tf32(a), _split_tf32(b)
    part = zeros(np.float32, len(total))
    for factors in ((a_rest, b_high), (a_high, b_rest), (a_high, b_high)):
        part = mma_tf32(part, *factors)
    return tuple(np.array(total) + np.array(part))


def _split_tf32(values: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    high = round_tf32(values)
    return high, tuple(np.array(values, np.float32) - np.array(high, np.float32))
