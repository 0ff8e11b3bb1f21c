"""Batches: which rows of the caller's arrays a step works on. Rows are bytes, so one kernel serves every dtype."""

from __future__ import annotations

from fastnn_kernels.cuda.block import indices
from fastnn_kernels.cuda.target import kernel
from fastnn_kernels.instructions import POSITION


@kernel
def take_rows(data, index, control, out, worker, workers):
    rows, size = out.shape
    position = control[POSITION]
    for i in indices(rows * size, worker, workers):
        b = i // size
        row = position + b if index.size == 0 else index[position + b]
        out[b, i - b * size] = data[row, i - b * size]
