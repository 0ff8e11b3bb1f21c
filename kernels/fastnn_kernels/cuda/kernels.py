"""KERNELS: the function of every instruction, by name; called as ``function(*operands, *attributes, worker, workers)``."""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda import activations, batches, losses, metrics, totals, updates
from fastnn_kernels.cuda.matmul import gemm

KERNELS: dict[str, Any] = {
    "shuffle": batches.shuffle,
    "next_batch": batches.next_batch,
    "take_rows": batches.take_rows,
    "put_rows": batches.put_rows,
    "matmul": gemm.matmul,
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

KERNELS_OF_UNITS: dict[str, Any] = {"matmul-float32": gemm.matmul_float32}
"""Kernels for one dtype alone; the interpreter, whose programs are small, has no use for them."""

BLOCKS = {"matmul-float32": 2}
"""Blocks that a multiprocessor holds at the same time, by unit, where one is not enough to hide the others' waits: at most 128
registers a thread."""


ENOUGH_REGISTERS = ((7, 5), (8, 0), (9, 0), (10, 0))
"""Architectures for which the assembler finds room for several `BLOCKS`; for the others 128 registers are one or two too few."""


def blocks_of(unit: str, capability: tuple[int, int]) -> int:
    """`BLOCKS` of a unit on an architecture."""
    return BLOCKS.get(unit, 1) if capability in ENOUGH_REGISTERS else 1
