"""KERNELS: the function of every instruction, by name; called as ``function(*operands, *attributes, worker, workers)``."""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda import activations, batches, bfloat16, dropout, losses, metrics, totals, updates
from fastnn_kernels.cuda.matmul import gemm, wgmma

KERNELS: dict[str, Any] = {
    "shuffle": batches.shuffle,
    "next_batch": batches.next_batch,
    "take_rows": batches.take_rows,
    "put_rows": batches.put_rows,
    "matmul": gemm.matmul,
    "matmul_bfloat16": gemm.matmul,
    "to_bfloat16": bfloat16.to_bfloat16,
    "sum_rows": gemm.sum_rows,
    "relu": activations.relu,
    "relu_backward": activations.relu_backward,
    "sigmoid": activations.sigmoid,
    "sigmoid_backward": activations.sigmoid_backward,
    "tanh": activations.tanh,
    "tanh_backward": activations.tanh_backward,
    "softmax": activations.softmax,
    "softmax_backward": activations.softmax_backward,
    "log_softmax": activations.log_softmax,
    "log_softmax_backward": activations.log_softmax_backward,
    "dropout": dropout.dropout,
    "loss_scale": losses.loss_scale,
    "softmax_cross_entropy": losses.softmax_cross_entropy,
    "softmax_cross_entropy_dense": losses.softmax_cross_entropy_dense,
    "sigmoid_cross_entropy": losses.sigmoid_cross_entropy,
    "sparse_categorical_cross_entropy": losses.sparse_categorical_cross_entropy,
    "categorical_cross_entropy": losses.categorical_cross_entropy,
    "binary_cross_entropy": losses.binary_cross_entropy,
    "mean_squared_error": losses.mean_squared_error,
    "mean_absolute_error": losses.mean_absolute_error,
    "binary_accuracy": metrics.binary_accuracy,
    "categorical_accuracy": metrics.categorical_accuracy,
    "sparse_categorical_accuracy": metrics.sparse_categorical_accuracy,
    "accumulate_mean": totals.accumulate_mean,
    "accumulate_loss": totals.accumulate_loss,
    "next_update": updates.next_update,
    "sgd": updates.sgd,
    "adagrad": updates.adagrad,
    "rmsprop": updates.rmsprop,
    "adam": updates.adam,
}

KERNELS_OF_UNITS: dict[str, Any] = {
    "matmul-float32": gemm.matmul_float32,
    "matmul_bfloat16": gemm.matmul_bfloat16,
    "matmul_bfloat16-wgmma": wgmma.matmul_bfloat16,
}
"""Kernels for one dtype alone, large tiles among them, and variants; the interpreter, whose programs are small, needs none."""

BLOCKS = {"matmul-float32": 2, "matmul_bfloat16": 2}
"""Blocks that a multiprocessor holds at the same time, by unit, where one is not enough to hide the others' waits: at most 128
registers a thread."""

ONE_BLOCK = {"matmul-float32": ((8, 6), (8, 9), (12, 0)), "matmul_bfloat16": ((12, 0),)}
"""Architectures for which the assembler finds no room for `BLOCKS` of a unit: 128 registers are a few too few."""


def blocks_of(unit: str, capability: tuple[int, int]) -> int:
    """`BLOCKS` of a unit on an architecture."""
    return 1 if capability in ONE_BLOCK.get(unit, ()) else BLOCKS.get(unit, 1)
