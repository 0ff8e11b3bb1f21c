"""Loops compiled by Numba: kernels as its users write them, and what this machine can do at most. Imported by workers only."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
from fastnn_kernels.cpu.matmul.vectors import I64, TILE, Vectors
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

CHAINS = 12
"""Independent multiply-adds in flight: more than latency (4 or 5) times units (2); with the factor they fit AVX2's 16 registers.

On a Zen 5 260 GFLOP/s with 8, 272 with 9 to 16; compiled for AVX2 138 with 9 to 15, and 79 with 16, which spill.
"""


def softmax_cross_entropy(logits, labels, loss, dlogits):
    """Rows in parallel: the loss, and the gradient of the mean."""
    rows, classes = logits.shape
    scale = np.float32(1 / rows)
    for m in prange(rows):
        top = logits[m, 0]
        for c in range(1, classes):
            top = max(top, logits[m, c])
        total = np.float32(0)
        for c in range(classes):
            value = math.exp(logits[m, c] - top)
            dlogits[m, c] = value
            total += value
        loss[m] = math.log(total) + top - logits[m, labels[m]]
        factor = scale / total
        for c in range(classes):
            dlogits[m, c] *= factor
        dlogits[m, labels[m]] -= scale


def relu(x, out):
    """out = max(x, 0)"""
    for i in prange(len(x)):
        out[i] = max(x[i], np.float32(0))


def copy(x, out):
    """out = x"""
    for i in prange(len(x)):
        out[i] = x[i]


def scale(x, out):
    """out = 2 x"""
    for i in prange(len(x)):
        out[i] = np.float32(2) * x[i]


def update(x, out):
    """out = out / 2 + x"""
    for i in prange(len(x)):
        out[i] = np.float32(0.5) * out[i] + x[i]


def read(x):
    """The sum of x."""
    total = np.float32(0)
    for i in prange(len(x)):
        total += x[i]
    return total


@intrinsic
def _multiply_adds(typingctx: Any, turns: Any, value: Any) -> Any:
    """``turns`` rounds of `CHAINS` vector multiply-adds that never leave the registers."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = Vectors(builder, ir.FloatType(), TILE.vector_bytes or 16)
        factor = vectors.spread(args[1])
        places = [cgutils.alloca_once_value(builder, factor) for _ in range(CHAINS)]
        with cgutils.for_range(builder, args[0], intp=I64):
            for place in places:
                builder.store(vectors.multiply_add(builder.load(place), factor, factor), place)
        total = vectors.zero
        for place in places:
            total = builder.fadd(total, builder.load(place))
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return types.float32(types.int64, types.float32), codegen


LANES = (TILE.vector_bytes or 16) // 4


def multiply_add(count, value):
    """``count`` multiply-adds, the same number on every thread."""
    threads = numba.get_num_threads()
    total = np.float32(0)
    for _ in prange(threads):
        total += _multiply_adds(count // (CHAINS * LANES * threads), value)
    return total


def compiled(function: Any, *, parallel: bool) -> Any:
    """``function`` compiled, its ``prange`` loops spread over Numba's threads or not; sums may be reordered."""
    return njit(parallel=parallel, fastmath=True)(function)
