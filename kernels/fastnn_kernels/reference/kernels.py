"""KERNELS: the reference's function for every instruction, by name; called as ``function(*operands, *attributes)``."""

from __future__ import annotations

from collections.abc import Callable

from fastnn_kernels.reference import activations, batches, bfloat16, dropout, losses, matmul, metrics, totals, updates

KERNELS: dict[str, Callable[..., None]] = {
    function.__name__: function
    for function in (
        batches.shuffle,
        batches.next_batch,
        batches.take_rows,
        batches.put_rows,
        matmul.matmul,
        matmul.matmul_bfloat16,
        bfloat16.to_bfloat16,
        matmul.sum_rows,
        activations.relu,
        activations.relu_backward,
        activations.sigmoid,
        activations.sigmoid_backward,
        activations.tanh,
        activations.tanh_backward,
        activations.softmax,
        activations.softmax_backward,
        activations.log_softmax,
        activations.log_softmax_backward,
        dropout.dropout,
        losses.loss_scale,
        losses.softmax_cross_entropy,
        losses.softmax_cross_entropy_dense,
        losses.sigmoid_cross_entropy,
        losses.sparse_categorical_cross_entropy,
        losses.categorical_cross_entropy,
        losses.binary_cross_entropy,
        losses.mean_squared_error,
        losses.mean_absolute_error,
        metrics.binary_accuracy,
        metrics.categorical_accuracy,
        metrics.sparse_categorical_accuracy,
        totals.accumulate_mean,
        totals.accumulate_loss,
        updates.next_update,
        updates.sgd,
        updates.adagrad,
        updates.rmsprop,
        updates.adam,
    )
}
