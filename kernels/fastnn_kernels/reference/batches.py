"""Batches: which rows of the caller's arrays a step works on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.instructions import NEXT_POSITION, POSITION, SPLITMIX_FIRST, SPLITMIX_SECOND, SPLITMIX_STEP, STEP

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]


def shuffle(control: Integers, index: Integers | None, state: Integers | None) -> None:
    """Where a pass begins, the shuffle of Fisher and Yates by the numbers of SplitMix64."""
    if control[STEP] >= 0 or index is None or state is None:
        return
    order, last = index.tolist(), np.arange(len(index) - 1, 0, -1)
    for i, j in zip(last.tolist(), (uniform(state, len(last)) * (last + 1)).astype(np.int64).tolist(), strict=True):
        order[i], order[j] = order[j], order[i]
    index[...] = order


def uniform(state: Integers, count: int) -> NDArray[np.float64]:
    """The next ``count`` numbers of SplitMix64 as multiples of 2**-53 in [0, 1)."""
    states = state.view(np.uint64) + np.arange(count + 1, dtype=np.uint64) * np.uint64(SPLITMIX_STEP)
    state[...] = states[-1:].view(np.int64)
    z = states[1:]
    z = (z ^ (z >> np.uint64(30))) * np.uint64(SPLITMIX_FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(SPLITMIX_SECOND)
    z ^= z >> np.uint64(31)
    return (z >> np.uint64(11)) * 2.0**-53


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
