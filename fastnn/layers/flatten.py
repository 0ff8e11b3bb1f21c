"""Flatten: one axis a sample."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from fastnn.keras_tensor import Shape
from fastnn.layers.base import Layer
from fastnn.lowering import operations

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor


class Flatten(Layer):
    """Flattens each sample to one axis; costs nothing, the memory is the same.

    Parameters
    ----------
    data_format : str, optional
        ``"channels_last"``, the only one.
    **kwargs
        Those of `Layer`.

    Raises
    ------
    ValueError
        For any other ``data_format``.

    Examples
    --------
    >>> Flatten().compute_output_shape((None, 8, 8))
    (None, 64)
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if data_format not in (None, "channels_last"):
            raise ValueError(f"data_format must be 'channels_last', got {data_format!r}")
        self.data_format = "channels_last"

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, product of the other sizes)."""
        return (input_shape[0], math.prod(size or 0 for size in input_shape[1:]))

    def lower(self, b: Builder, *inputs: Tensor) -> Tensor:
        """The same memory under another shape."""
        return operations.reshape(b, inputs[0], (math.prod(inputs[0].shape),))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one."""
        return {**super().get_config(), "data_format": self.data_format}
