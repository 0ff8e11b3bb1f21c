"""Run one instruction by the reference, on arrays of any float dtype."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.operands import MOST_WORKERS, check_attributes, check_operands, find_instruction, integer, supply_scratch
from fastnn_kernels.reference.kernels import KERNELS


def execute(
    name: str,
    operands: Mapping[str, NDArray | None],
    attributes: Mapping[str, int | float] | None = None,
    *,
    dtype: str = "float32",
    workers: int = 1,
) -> None:
    """Run instruction ``name`` once; operands that the contract line writes are written in place.

    Parameters and errors are those of `fastnn_kernels.cpu.execute.execute`; there is one worker always.
    """
    instruction, attributes = find_instruction(name), attributes or {}
    integer("workers", workers, 1, MOST_WORKERS)
    arrays = supply_scratch(instruction, operands, 0, dtype)
    check_operands(instruction, arrays, dtype)
    check_attributes(instruction, attributes)
    given = [arrays.get(spec.name) for spec in instruction.operands]
    with np.errstate(all="ignore"):
        KERNELS[name](*given, *(attributes[attribute] for attribute, _ in instruction.attributes))
