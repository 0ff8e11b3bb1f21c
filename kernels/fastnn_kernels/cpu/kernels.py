"""KERNELS: the function of every instruction, by name; called as ``function(*operands, *attributes, worker, workers)``."""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cpu import activations, batches, bfloat16, dropout, logit_losses, losses, metrics, softmax, totals, updates
from fastnn_kernels.cpu.matmul import gemm

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
    "softmax": softmax.softmax,
    "softmax_backward": softmax.softmax_backward,
    "log_softmax": softmax.log_softmax,
    "log_softmax_backward": softmax.log_softmax_backward,
    "dropout": dropout.dropout,
    "loss_scale": losses.loss_scale,
    "softmax_cross_entropy": logit_losses.softmax_cross_entropy,
    "softmax_cross_entropy_dense": logit_losses.softmax_cross_entropy_dense,
    "sigmoid_cross_entropy": logit_losses.sigmoid_cross_entropy,
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
