"""Totals: float64 sums of losses and metrics over an epoch, by worker 0 alone."""

from __future__ import annotations

import math

import numpy as np

from fastnn_kernels.cpu.options import kernel, ordered_kernel
from fastnn_kernels.instructions import STATUS, STATUS_NON_FINITE_LOSS


@ordered_kernel
def weighted_sum(value, weight):
    """``(sum(weight * value), sum(weight))`` in float64; without weights every weight is 1."""
    total = 0.0
    if weight.size == 0:
        for m in range(value.size):
            total += np.float64(value[m])
        return total, np.float64(value.size)
    weights = 0.0
    for m in range(value.size):
        total += np.float64(weight[m]) * np.float64(value[m])
        weights += np.float64(weight[m])
    return total, weights


@kernel
def accumulate_mean(value, weight, total, worker, workers):
    sum_of_values, sum_of_weights = weighted_sum(value, weight)
    total[0] += sum_of_values
    total[1] += sum_of_weights


@kernel
def accumulate_loss(value, weight, scale, total, control, rows, worker, workers):
    sum_of_values, _ = weighted_sum(value, weight)
    batch = np.float64(scale[0]) * sum_of_values
    total[0] += batch * rows
    total[1] += rows
    if not math.isfinite(batch):
        control[STATUS] = STATUS_NON_FINITE_LOSS
