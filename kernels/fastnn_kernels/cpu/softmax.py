"""Softmax and its logarithm over rows, and their gradients. Definitions: ``reference/activations.py``."""

from __future__ import annotations

import numpy as np

from fastnn_kernels.cpu.columns import LANES, NARROW, column_block, lanes, load_columns, store_columns
from fastnn_kernels.cpu.floats import maximum
from fastnn_kernels.cpu.matmul.vectors import flat
from fastnn_kernels.cpu.options import interleaved_kernel, kernel
from fastnn_kernels.cpu.partition import ROWS, indices, span
from fastnn_kernels.cpu.rows import EXP, SHIFTED, exp_row, largest_ahead, part_of, parts_of, per_part, quotient, scale_row
from fastnn_kernels.cpu.vector_math import exp, exp_below_0, log


@kernel
def softmax(x, out, worker, workers):
    """Few classes by columns, many by rows."""
    start, stop = span(x.shape[0], LANES, worker, workers)
    classes, one = x.shape[1], x.dtype.type(1)
    if classes <= NARROW:
        for m in range(start, stop, LANES):
            block = column_block(x)
            rows = load_columns(x, m, block)
            softmax_columns(block, rows, classes)
            store_columns(block, rows, out, m, 0)
        return
    logits, y, scales = flat(x), flat(out), per_part(x)
    largest = largest_ahead(logits, start, stop, classes)
    for m in range(start, stop):
        row = np.uint64(m * classes)
        _, total = exp_row(logits, y, row, classes, largest, scales, EXP)
        largest = largest_ahead(logits, m + 1, stop, classes)
        scale_row(y, row, classes, scales, quotient(one, total))


@kernel
def shift_columns(block, rows, classes):
    """Subtract from every row its largest element."""
    shift = lanes(block)
    for r in range(rows):
        shift[r] = block[0, r]
    for c in range(1, classes):
        for r in range(rows):
            shift[r] = maximum(shift[r], block[c, r])
    for c in range(classes):
        for r in range(rows):
            block[c, r] -= shift[r]


@interleaved_kernel(2)
def softmax_columns(block, rows, classes):
    """Softmax of every row of a block."""
    total, zero, one = lanes(block), block.dtype.type(0), block.dtype.type(1)
    shift_columns(block, rows, classes)
    for r in range(rows):
        total[r] = zero
    for c in range(classes):
        for r in range(rows):
            block[c, r] = exp_below_0(block[c, r])
            total[r] += block[c, r]
    for r in range(rows):
        total[r] = quotient(one, total[r])
    for c in range(classes):
        for r in range(rows):
            block[c, r] *= total[r]


@kernel
def softmax_backward(out, dout, dx, accumulate, worker, workers):
    for m in indices(out.shape[0], ROWS, worker, workers):
        dot = out.dtype.type(0)
        for c in range(out.shape[1]):
            dot += out[m, c] * dout[m, c]
        for c in range(out.shape[1]):
            gradient = out[m, c] * (dout[m, c] - dot)
            dx[m, c] = dx[m, c] + gradient if accumulate else gradient


@kernel
def log_softmax(x, out, worker, workers):
    """In two passes: in one expression LLVM would subtract the sum of shift and logarithm, rounded to the shift's digits."""
    start, stop = span(x.shape[0], LANES, worker, workers)
    classes = x.shape[1]
    if classes <= NARROW:
        for m in range(start, stop, LANES):
            block = column_block(x)
            rows = load_columns(x, m, block)
            log_softmax_columns(block, rows, classes)
            store_columns(block, rows, out, m, 0)
        return
    logits, y, scales, parts = flat(x), flat(out), per_part(x), parts_of(classes)
    largest = largest_ahead(logits, start, stop, classes)
    for m in range(start, stop):
        row = np.uint64(m * classes)
        _, total = exp_row(logits, y, row, classes, largest, scales, SHIFTED)
        largest = largest_ahead(logits, m + 1, stop, classes)
        log_total = log(total)
        for p in range(parts):
            first, last = part_of(row, classes, parts, p)
            rest = scales[p] - log_total
            for i in range(first, last):
                y[i] += rest


@interleaved_kernel(2)
def log_softmax_columns(block, rows, classes):
    """Log-softmax of every row of a block."""
    total, zero = lanes(block), block.dtype.type(0)
    shift_columns(block, rows, classes)
    for r in range(rows):
        total[r] = zero
    for c in range(classes):
        for r in range(rows):
            total[r] += exp_below_0(block[c, r])
    for r in range(rows):
        total[r] = log(total[r])
    for c in range(classes):
        for r in range(rows):
            block[c, r] -= total[r]


@interleaved_kernel(2)
def log_softmax_backward(out, dout, dx, accumulate, worker, workers):
    for m in indices(out.shape[0], ROWS, worker, workers):
        total = out.dtype.type(0)
        for c in range(out.shape[1]):
            total += dout[m, c]
        for c in range(out.shape[1]):
            gradient = dout[m, c] - exp(out[m, c]) * total
            dx[m, c] = dx[m, c] + gradient if accumulate else gradient
