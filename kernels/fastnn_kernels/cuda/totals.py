"""Totals: float64 sums of losses and metrics over an epoch, by one block: every thread its own part, then in a fixed tree."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cuda.block import block_sum, indices, thread
from fastnn_kernels.cuda.target import kernel
from fastnn_kernels.cuda.vector_math import isfinite
from fastnn_kernels.instructions import STATUS, STATUS_NON_FINITE_LOSS


@kernel
def weighted_sum(value, weight):
    """``(sum(weight * value), sum(weight))`` in float64, in all threads; without weights every weight is 1."""
    total, weights = 0.0, 0.0
    for m in indices(value.size, 0, 1):
        w = np.float64(weight[m]) if weight.size != 0 else 1.0
        total += w * np.float64(value[m])
        weights += w
    return block_sum(total), block_sum(weights)


@kernel
def accumulate_mean(value, weight, total, worker, workers):
    sum_of_values, sum_of_weights = weighted_sum(value, weight)
    if thread() == 0:
        total[0] += sum_of_values
        total[1] += sum_of_weights


@kernel
def accumulate_loss(value, weight, scale, total, control, rows, worker, workers):
    sum_of_values, _ = weighted_sum(value, weight)
    if thread() == 0:
        batch = np.float64(scale[0]) * sum_of_values
        total[0] += batch * rows
        total[1] += rows
        if not isfinite(batch):
            control[STATUS] = STATUS_NON_FINITE_LOSS
