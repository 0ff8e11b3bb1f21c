"""Input and InputLayer: where a model's data comes in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.config import floatx
from fastnn.keras_tensor import KerasTensor, Node, Shape
from fastnn.layers.arguments import refuse, sample_shape
from fastnn.layers.base import Layer


class InputLayer(Layer):
    """What a model is fed: one tensor.

    Parameters
    ----------
    shape : sequence of int
        One sample's shape, without the batch.
    batch_size : int, optional
        Shown in shapes; batches of any size are accepted.
    dtype : str, optional
        Dtype of the data; it is cast to that of the model.
    batch_shape : sequence of int or None, optional
        ``(batch_size, *shape)``, instead of both.
    name : str, optional
        By default ``input_layer``, ``input_layer_1``, ...
    sparse, ragged, input_tensor, optional
        Not supported.

    Raises
    ------
    ValueError
        If there is no shape, or it holds anything but positive integers.
    """

    def __init__(
        self,
        shape: Sequence[int] | None = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: Any = None,
        ragged: Any = None,
        batch_shape: Sequence[int | None] | None = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        shape = kwargs.pop("input_shape", shape)  # Keras 2
        super().__init__(name=name, **kwargs)
        refuse(self, sparse=sparse or None, ragged=ragged or None, input_tensor=input_tensor, optional=optional or None)
        if (shape is None) == (batch_shape is None):
            raise ValueError(
                f"an input needs either `shape`, one sample's shape such as (4,), or `batch_shape`; got shape={shape!r}, "
                f"batch_shape={batch_shape!r}"
            )
        if batch_shape is not None:
            batch_size, shape = next(iter(batch_shape)), sample_shape("batch_shape", tuple(batch_shape)[1:])
        self.batch_shape: Shape = (batch_size, *sample_shape("shape", shape))
        self.data_dtype = floatx() if dtype is None else np.dtype(dtype).name
        self.built = True
        self.connect()

    def connect(self) -> None:
        """Make the tensor that the layer stands for."""
        tensor = KerasTensor(self.batch_shape, self.data_dtype, name=self.name)
        self._inbound_nodes = [Node(self, [], [tensor])]

    def compute_output_shape(self, input_shape: Any = None) -> Shape:
        """The shape it was made with."""
        return self.batch_shape

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one."""
        return {"batch_shape": self.batch_shape, "dtype": self.data_dtype, "name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.connect()


def Input(  # noqa: N802
    shape: Sequence[int] | None = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: Any = None,
    ragged: Any = None,
    batch_shape: Sequence[int | None] | None = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> KerasTensor:
    """A new input of a model: the tensor that an `InputLayer` with these arguments stands for.

    Parameters
    ----------
    shape : sequence of int
        One sample's shape, without the batch.
    batch_size, dtype, sparse, ragged, batch_shape, name, optional
        See `InputLayer`.
    tensor : None
        Not supported.

    Raises
    ------
    ValueError
        If there is no shape, or it holds anything but positive integers.

    Examples
    --------
    >>> Input((3,), name="x")
    <KerasTensor shape=(None, 3), dtype=float32, name=x>
    """
    layer = InputLayer(shape, batch_size, dtype, sparse, ragged, batch_shape, tensor, optional, name)
    return layer.output
