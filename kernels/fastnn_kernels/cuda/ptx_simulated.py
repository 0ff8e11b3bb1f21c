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


def address_of(array: NDArray) -> int:
    return array.ctypes.data


def flat(array: NDArray) -> NDArray:
    return array.reshape(-1)


def words(array: NDArray) -> NDArray:
    return array.reshape(-1)[: array.size // 4 * 4].view(np.uint32)


def _aligned(array: NDArray, index: int) -> int:
    if (array.ctypes.data + int(index) * array.itemsize) % 16:
        raise RuntimeError(f"the address of element {index} is no multiple of 16")
    return int(index)


def load4(array: NDArray, index: int) -> tuple[Any, ...]:
    first = _aligned(array, index)
    return tuple(array.reshape(-1)[first : first + 4])


def store4(array: NDArray, index: int, values: tuple[Any, ...]) -> None:
    first = _aligned(array, index)
    array.reshape(-1)[first : first + 4] = values


def zeros(dtype: Any, count: int) -> tuple[Any, ...]:
    return (dtype(0),) * count


def fma_outer(total: tuple[Any, ...], a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple((np.array(total) + np.outer(a, b).reshape(-1)).astype(type(total[0])))


def architecture() -> int:
    return 80


def _copies() -> list[list[Callable[[], None]]]:
    """This thread's groups of copies under way; the last is not complete."""
    return local.__dict__.setdefault("copies", [[]])


def copy16_async(target: NDArray, target_index: int, source: NDArray, source_index: int) -> None:
    copy_words_async(target, target_index, source, source_index, 16 // source.itemsize)


def copy_words_async(target: NDArray, target_index: int, source: NDArray, source_index: int, count: int) -> None:
    """The copy is made as late as may be: by `copies_wait`."""
    store, load, places = _aligned(target, target_index), int(source_index), 16 // source.itemsize
    if count:
        _aligned(source, load)
    _copies()[-1].append(lambda: _copy(target.reshape(-1)[store : store + places], source.reshape(-1)[load : load + count]))


def copy_word_async(target: NDArray, target_index: int, source: NDArray, source_index: int, count: int) -> None:
    store, load = int(target_index), int(source_index)
    _copies()[-1].append(lambda: _copy(target.reshape(-1)[store : store + 1], source.reshape(-1)[load : load + count]))


def _copy(target: NDArray, source: NDArray) -> None:
    target[: source.size], target[source.size :] = source, 0


def copies_commit() -> None:
    _copies().append([])


def copies_wait(groups: int) -> None:
    while len(_copies()) > groups + 1:
        for copy in _copies().pop(0):
            copy()


def arrive(address: int, count: int) -> int:
    word = ctypes.c_uint32.from_address(int(address))
    before = word.value
    word.value = 0 if before >= count - 1 else before + 1
    return before


def round_tf32(values: tuple[Any, ...]) -> tuple[Any, ...]:
    bits = np.array(values, np.float32).view(np.uint32)
    return tuple(((bits + np.uint32(0x1000)) & np.uint32(0xFFFFE000)).view(np.float32))


def _read_tf32(values: tuple[Any, ...], count: int) -> NDArray:
    """What tensor cores read of float32 numbers, ``count`` a tile."""
    return (np.array(values, np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32).reshape(-1, count)


def mma_tf32(total: tuple[Any, ...], a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    """Every thread gives its numbers and reads the tiles."""
    state, warp, lane = local.block, _warp(), local.thread % WARP
    state.values[local.thread] = _read_tf32(a, 4), _read_tf32(b, 2)
    state.wait(warp)
    given = [state.values[thread] for thread in warp]
    state.wait(warp)
    left = np.array([rows for rows, _ in given]).reshape(8, 4, -1, 4)  # g, t, tile, number
    right = np.array([columns for _, columns in given]).reshape(8, 4, -1, 2)
    a_tiles = np.concatenate([np.concatenate([left[..., h + 2 * k] for h in (0, 1)]) for k in (0, 1)], axis=1)  # 16, 8, tile
    b_tiles = np.concatenate([right[..., k].transpose(1, 0, 2) for k in (0, 1)])  # 8, 8, tile
    products = np.einsum("ikm,kjn->mnij", a_tiles, b_tiles, dtype=np.float64)
    g, t = lane // 4, lane % 4
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
