"""``tf.config``: its ``experimental`` part, by the same names."""

from __future__ import annotations

from fastnn import config

__all__ = ["enable_tensor_float_32_execution", "tensor_float_32_execution_enabled"]


def enable_tensor_float_32_execution(enabled: bool) -> None:
    """`fastnn.config.set_matmul_precision`; off by default, unlike in TensorFlow."""
    config.set_matmul_precision("tensorfloat32" if enabled else "float32")


def tensor_float_32_execution_enabled() -> bool:
    """Whether the precision of products is ``"tensorfloat32"``."""
    return config.matmul_precision() == "tensorfloat32"
