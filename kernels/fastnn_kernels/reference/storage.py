"""Reading operands as float64 and writing results into whatever float they are stored in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
"""A float operand: stored as float32 or float64, computed with as float64."""


def float64(x: NDArray) -> Array:
    """``x`` as a new float64 array."""
    return np.array(x, np.float64)


def store(out: NDArray, value: NDArray, accumulate: int) -> None:
    """out = value, or out += value when ``accumulate`` is set."""
    out[...] = float64(out) + value if accumulate else value
