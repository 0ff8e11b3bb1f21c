"""Activations and their gradients, elementwise; softmax over rows. Definitions: ``reference/activations.py``."""

from __future__ import annotations

from fastnn_kernels.cuda.block import indices
from fastnn_kernels.cuda.target import kernel


@kernel
def relu(x, out, negative_slope, max_value, threshold, worker, workers):
    """Comparisons are such that NaN stays NaN; with a slope of 0 the lower part is 0, at -inf too."""
    dtype = x.dtype.type
    slope, top, bottom, zero = dtype(negative_slope), dtype(max_value), dtype(threshold), dtype(0)
    for i in indices(x.size, worker, workers):
        value = x[i]
        below = slope * (value - bottom) if slope != zero else zero
        y = below if value <= bottom else value
        out[i] = top if value >= top else y
