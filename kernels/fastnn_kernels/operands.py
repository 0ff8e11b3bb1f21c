"""What a caller gives, checked for every target: an instruction's name, operands and attributes; single numbers."""

from __future__ import annotations

import ctypes
import difflib
import math
import operator
import struct
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.instructions import INSTRUCTIONS, Instruction, dtype_name

MOST_WORKERS = 1024
"""More workers than this are refused."""

INT64 = -(2**63), 2**63 - 1
"""The least and the greatest int64."""


def number(name: str, value: Any, *, infinite: bool = False) -> float:
    """The argument ``name`` as a float: a number, not NaN, and finite unless ``infinite``."""
    if not isinstance(value, (float, int, np.floating, np.integer)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        result = float(value)
    except OverflowError:  # an int of more than 308 digits
        result = math.inf
    if not (math.isfinite(result) or (infinite and result == result)):
        raise ValueError(f"{name} must be a {'number' if infinite else 'finite number'}, got {value!r}")
    return result


def integer(name: str, value: Any, least: int, most: int, also: str = "") -> int:
    """The argument ``name`` as an int from ``least`` to ``most``; ``also`` says what else the caller takes."""
    try:
        result = None if isinstance(value, (bool, np.ndarray)) else operator.index(value)
    except TypeError:
        result = None
    if result is None or not least <= result <= most:
        error = TypeError if result is None else ValueError
        raise error(f"{name} must be {also}an integer from {least} to {most}, got {value!r}")
    return result


def find_instruction(name: str) -> Instruction:
    """The instruction ``name``; what was perhaps meant when there is none."""
    if isinstance(name, str) and name in INSTRUCTIONS:
        return INSTRUCTIONS[name]
    close = difflib.get_close_matches(str(name), INSTRUCTIONS, n=1)
    raise ValueError(f"there is no instruction {name!r}" + (f"; did you mean {close[0]!r}?" if close else ""))


def address(array: Any) -> int:
    """Where an array's elements begin; 0 for None. The buffer protocol is five times as fast as ``array.ctypes.data``."""
    if array is None:
        return 0
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))
    except (TypeError, ValueError):  # read-only, or empty
        return array.ctypes.data


def attribute_word(kind: str, value: float) -> int:
    """An attribute as it stands in a row: int64, or the bits of a float64."""
    return struct.unpack("<q", struct.pack("<d", value))[0] if kind == "d" else int(value)


def supply_scratch(
    instruction: Instruction, arrays: Mapping[str, NDArray | None], elements: int, dtype: str
) -> dict[str, NDArray | None]:
    """The operands, with working memory of ``elements`` zeros where the instruction needs some and none is given."""
    scratch = {
        spec.name: np.zeros(elements, dtype_name(spec.dtype, dtype)) for spec in instruction.operands if spec.name == "scratch"
    }
    return {**scratch, **arrays}


def check_operands(instruction: Instruction, arrays: Mapping[str, NDArray | None], dtype: str) -> list[int]:
    """Sizes of the instruction's dimension letters, after checking every array against the contract line."""
    unknown = arrays.keys() - {spec.name for spec in instruction.operands}
    if unknown:
        raise ValueError(f"{instruction.name} has no operand {sorted(unknown)[0]!r}; its contract is {instruction.contract!r}")
    sizes: dict[str, int] = {}
    for spec in instruction.operands:
        array = arrays.get(spec.name)
        if array is None:
            if not spec.optional:
                raise ValueError(f"{instruction.name} needs operand {spec.name!r}; its contract is {instruction.contract!r}")
            continue
        if not isinstance(array, np.ndarray):
            raise TypeError(f"operand {spec.name!r} must be a NumPy array, got {type(array).__name__}")
        expected = dtype_name(spec.dtype, dtype)
        if array.dtype != expected:
            raise ValueError(f"operand {spec.name!r} is {array.dtype}; {instruction.name} takes {expected} here")
        if not array.flags.c_contiguous or not array.flags.aligned:
            raise ValueError(f"operand {spec.name!r} must be C-contiguous and aligned; np.ascontiguousarray makes such a copy")
        if spec.writes and not array.flags.writeable:
            raise ValueError(f"operand {spec.name!r} is read-only; {instruction.name} writes it")
        if array.ndim != len(spec.shape):
            raise ValueError(f"operand {spec.name!r} has shape {array.shape}; {instruction.name} takes {spec.shape}")
        for letter, size in zip(spec.shape, array.shape, strict=True):
            known = letter if isinstance(letter, int) else sizes.setdefault(letter, size)
            if known != size:
                raise ValueError(f"operand {spec.name!r} has shape {array.shape}, but {letter} is {known} in {spec.shape}")
    _check_apart(instruction, arrays)
    return [sizes.get(letter, 0) for letter in instruction.dimensions]


def _check_apart(instruction: Instruction, arrays: Mapping[str, NDArray | None]) -> None:
    """Refuse an operand that is written where another one lies; the bounds of contiguous arrays are exact."""
    for spec, other in combinations(instruction.operands, 2):
        first, second = arrays.get(spec.name), arrays.get(other.name)
        written = spec.writes or other.writes or "scratch" in (spec.name, other.name)
        if written and first is not None and second is not None and np.may_share_memory(first, second):
            raise ValueError(f"operands {spec.name!r} and {other.name!r} share memory, and one is written; give each its own")


def check_attributes(instruction: Instruction, attributes: Mapping[str, int | float]) -> list[int]:
    """The attributes as words of a row, in the contract's order."""
    names = [name for name, _ in instruction.attributes]
    if set(names) != attributes.keys():
        raise ValueError(f"{instruction.name} takes the attributes {names}, not {sorted(attributes)}")
    for name, kind in instruction.attributes:
        if kind == "d":
            number(name, attributes[name], infinite=True)
        else:
            integer(name, attributes[name], *INT64)
    return [attribute_word(kind, attributes[name]) for name, kind in instruction.attributes]
