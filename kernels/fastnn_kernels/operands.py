"""The operands and attributes of one instruction as a caller gives them: checked against the contract line, as words.

For every target.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from fastnn_kernels.instructions import DTYPES, Instruction


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
        expected = dtype if spec.dtype == "f" else DTYPES[spec.dtype]
        if array.dtype != expected:
            raise ValueError(f"operand {spec.name!r} is {array.dtype}; {instruction.name} takes {expected} here")
        if not array.flags.c_contiguous or not array.flags.aligned:
            raise ValueError(f"operand {spec.name!r} must be C-contiguous and aligned; np.ascontiguousarray makes such a copy")
        if array.ndim != len(spec.shape):
            raise ValueError(f"operand {spec.name!r} has shape {array.shape}; {instruction.name} takes {spec.shape}")
        for letter, size in zip(spec.shape, array.shape, strict=True):
            known = letter if isinstance(letter, int) else sizes.setdefault(letter, size)
            if known != size:
                raise ValueError(f"operand {spec.name!r} has shape {array.shape}, but {letter} is {known} in {spec.shape}")
    return [sizes.get(letter, 0) for letter in instruction.dimensions]


def check_attributes(instruction: Instruction, attributes: Mapping[str, int | float]) -> list[int]:
    """The attributes as words of a row, in the contract's order."""
    names = [name for name, _ in instruction.attributes]
    if set(names) != attributes.keys():
        raise ValueError(f"{instruction.name} takes the attributes {names}, not {sorted(attributes)}")
    return [attribute_word(kind, attributes[name]) for name, kind in instruction.attributes]
