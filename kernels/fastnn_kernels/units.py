"""Units: what is compiled and kept as one file: an instruction for one dtype, or the ``interpreter``.

``relu-float32``; ``take_rows``, which has no operand of the program's dtype; ``matmul_bfloat16-wgmma``, a variant for some devices
and shapes.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastnn_kernels.instructions import INSTRUCTIONS

INTERPRETER = "interpreter"

FLOAT_TYPES = ("float32", "float64")


def unit_name(op: str, dtype: str) -> str:
    """The unit that runs instruction ``op`` in a program of ``dtype``."""
    generic = any(operand.dtype == "f" for operand in INSTRUCTIONS[op].operands)
    return f"{op}-{dtype}" if generic else op


def all_units(dtypes: Iterable[str] = FLOAT_TYPES) -> list[str]:
    """The interpreter, and each instruction for each dtype."""
    return list(dict.fromkeys([INTERPRETER, *(unit_name(op, dtype) for dtype in dtypes for op in INSTRUCTIONS)]))


def split_unit(unit: str) -> tuple[str, str]:
    """The instruction and the dtype (float32 where it does not matter) of ``unit``, or what else it is for."""
    op, _, dtype = unit.partition("-")
    return op, dtype or "float32"


def symbol(unit: str) -> str:
    """The name of the unit's function in its object."""
    return "fastnn_" + unit.replace("-", "_")
