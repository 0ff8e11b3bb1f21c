"""Batches: which rows of the caller's arrays a step works on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.instructions import NEXT_POSITION, POSITION, STEP

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]


def next_batch(control: Integers, batch: int) -> None:
    """control[STEP] += 1; control[POSITION] = control[NEXT_POSITION]; control[NEXT_POSITION] += batch."""
    control[STEP] += 1
    control[POSITION] = control[NEXT_POSITION]
    control[NEXT_POSITION] += batch


def take_rows(data: Bytes, index: Integers | None, control: Integers, out: Bytes) -> None:
    """out[b] = data[index[position + b]], without an index data[position + b]."""
    batch = np.arange(control[POSITION], control[POSITION] + len(out))
    out[...] = data[batch if index is None else index[batch]]


def put_rows(x: Bytes, control: Integers, data: Bytes) -> None:
    """data[position + b] = x[b]."""
    data[control[POSITION] : control[POSITION] + len(x)] = x
