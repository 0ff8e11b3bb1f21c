"""Run one instruction on arrays, in place: through the same adapter, table and interpreter as a whole program."""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.cpu import objects, team
from fastnn_kernels.cpu.matmul.blocking import SCRATCH_ELEMENTS
from fastnn_kernels.instructions import FLAG_BARRIER, INSTRUCTIONS, ROW_OPERANDS, ROW_WORDS
from fastnn_kernels.operands import (
    MOST_WORKERS,
    address,
    check_attributes,
    check_operands,
    find_instruction,
    integer,
    supply_scratch,
)
from fastnn_kernels.units import unit_name

CACHE_LINE = 64

_threads = threading.local()


def execute(
    name: str,
    operands: Mapping[str, NDArray | None],
    attributes: Mapping[str, int | float] | None = None,
    *,
    dtype: str = "float32",
    workers: int = 1,
) -> None:
    """Run instruction ``name`` once; operands that the contract line writes are written in place.

    Dtypes, shapes and memory are checked. What the operands hold is not looked at: labels, an index and a position in ``control``
    must fit the data. A loss counts a label outside [0, C) as 0, whether it is ``ignore_class`` or a mistake; an index or a
    position outside the data reads and writes memory that belongs to others.

    Parameters
    ----------
    name : str
        A key of `INSTRUCTIONS`.
    operands : mapping of str to ndarray or None
        C-contiguous arrays in the contract's dtypes, those that are written apart from all others; optional ones may be None
        or left out; ``scratch`` is supplied.
    attributes : mapping of str to int or float, optional
        Every attribute of the contract line.
    dtype : {"float32", "float64"}
        What ``f`` means.
    workers : int
        Workers to split the work among, from 1 to 1024; the results are the same bits for any number.

    Raises
    ------
    TypeError
        Naming the operand that is no array, the attribute that is no number, or ``workers`` if it is no integer.
    ValueError
        Naming the operand or attribute that is missing, unknown, of another dtype or shape, not C-contiguous, or NaN; written
        but read-only or in another's memory; or if ``name`` is unknown or ``workers`` out of range.

    Examples
    --------
    >>> import numpy as np
    >>> x, out = np.array([-1, 2], np.float32), np.empty(2, np.float32)
    >>> execute("relu", {"x": x, "out": out}, {"negative_slope": 0.0, "max_value": np.inf, "threshold": 0.0})
    >>> out
    array([0., 2.], dtype=float32)
    """
    prepare(name, operands, attributes, dtype=dtype, workers=workers)()


def prepare(
    name: str,
    operands: Mapping[str, NDArray | None],
    attributes: Mapping[str, int | float] | None = None,
    *,
    dtype: str = "float32",
    workers: int = 1,
) -> Prepared:
    """`execute` in two parts: everything but the run itself; for timing, where a call of Python would be most of the time.

    Parameters and errors are those of `execute`.
    """
    instruction, workers = find_instruction(name), integer("workers", workers, 1, MOST_WORKERS)
    arrays = supply_scratch(instruction, operands, SCRATCH_ELEMENTS * workers, dtype)
    sizes = check_operands(instruction, arrays, dtype)
    table = np.zeros((1, ROW_WORDS), np.int64)
    unit = unit_name(name, dtype)
    addresses = [0 if array is None else array.ctypes.data for array in (arrays.get(spec.name) for spec in instruction.operands)]
    fill_row(table[0], objects.load([unit])[unit], FLAG_BARRIER, addresses, sizes, check_attributes(instruction, attributes or {}))
    return Prepared(table, arrays, workers)


@dataclass(frozen=True)
class Prepared:
    """One instruction bound to arrays, which it keeps alive; ``prepared(n)`` runs it ``n`` times without Python in between."""

    table: NDArray[np.int64]
    arrays: Mapping[str, NDArray | None]
    workers: int

    def __call__(self, times: int = 1) -> None:
        """Run; the workers meet before every repeat."""
        team.run(self.table.ctypes.data, 1, times, workers=self.workers)


def call(
    name: str,
    dtype: np.dtype,
    operands: Sequence[NDArray | None],
    sizes: Sequence[int],
    attributes: Sequence[int | float] = (),
    workers: int = 1,
) -> None:
    """`execute` without its checks, at a fifth of its overhead: the caller answers for dtypes, layouts and sizes.

    Operands, sizes of dimension letters and attributes stand in the contract's order; ``scratch`` is `scratch_for`'s.
    """
    adapter, new_row, pack_into = _layout(name, dtype)
    row = new_row()
    pack_into(row, 0, adapter, FLAG_BARRIER, *map(address, operands), *sizes, *attributes)
    team.run(ctypes.addressof(row), 1, 1, workers=workers)


@cache
def _layout(name: str, dtype: np.dtype) -> tuple[int, type[ctypes.Array], Callable[..., None]]:
    """The adapter's address, the type of a row of ``name``, and the function that packs its words."""
    instruction, unit = INSTRUCTIONS[name], unit_name(name, dtype.name)
    words = ROW_OPERANDS + len(instruction.operands) + len(instruction.dimensions)
    kinds = "".join("d" if kind == "d" else "q" for _, kind in instruction.attributes)
    layout = struct.Struct(f"={words}q{kinds}")
    return objects.load([unit])[unit], ctypes.c_char * layout.size, layout.pack_into


def scratch_for(dtype: np.dtype, workers: int) -> NDArray:
    """Scratch memory for ``workers`` workers, until this thread asks again.

    A thread keeps the scratch of one worker: making it takes as long as a small product.
    """
    if workers > 1:
        return _scratch(dtype, workers)
    kept = vars(_threads)
    if dtype.char not in kept:
        kept[dtype.char] = _scratch(dtype, 1)
    return kept[dtype.char]


def _scratch(dtype: np.dtype, workers: int) -> NDArray:
    """Aligned to a cache line."""
    memory = np.empty(SCRATCH_ELEMENTS * workers + CACHE_LINE // dtype.itemsize, dtype)
    skipped = -address(memory) % CACHE_LINE // dtype.itemsize
    return memory[skipped : skipped + SCRATCH_ELEMENTS * workers]


def fill_row(words: NDArray, adapter: int, flags: int, *parts: Sequence[int]) -> None:
    """Write one row of a bound table; ``parts``: addresses of operands, sizes of dimension letters, `attribute_word`s."""
    row = [adapter, flags, *chain(*parts)]
    words[: len(row)] = row
