"""KERNELS: the function of every instruction, by name; called as ``function(*operands, *attributes, worker, workers)``."""

from __future__ import annotations

from typing import Any

from fastnn_kernels.cuda import activations, batches

KERNELS: dict[str, Any] = {
    "take_rows": batches.take_rows,
    "relu": activations.relu,
}
