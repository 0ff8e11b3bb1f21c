"""Totals: float64 sums of losses and metrics over an epoch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.instructions import STATUS, STATUS_NON_FINITE_LOSS
from fastnn_kernels.reference.storage import Array, float64


def accumulate_mean(value: Array, weight: Array | None, total: Array) -> None:
    """total += (sum(weight * value), sum(weight)); without weights every weight is 1."""
    weights = np.ones(len(value)) if weight is None else float64(weight)
    total += ((weights * float64(value)).sum(), weights.sum())


def accumulate_loss(value: Array, weight: Array | None, scale: Array, total: Array, control: NDArray[np.int64], rows: int) -> None:
    """batch = scale * sum(weight * value); total += (batch * rows, rows); a batch that is not finite sets control[STATUS]."""
    weights = np.ones(len(value)) if weight is None else float64(weight)
    batch = float64(scale)[0] * (weights * float64(value)).sum()
    total += (batch * rows, rows)
    if not np.isfinite(batch):
        control[STATUS] = STATUS_NON_FINITE_LOSS
