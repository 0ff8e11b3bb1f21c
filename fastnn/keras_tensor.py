"""The symbolic graph: calling a layer on a `KerasTensor` records a `Node`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from fastnn.naming import unique_name

if TYPE_CHECKING:
    from fastnn.layers.base import Layer

Shape = tuple[int | None, ...]
"""A shape with the batch, which is None, as its first size."""


class KerasTensor:
    """A value that a model will have: its shape, its dtype and the node that makes it, no data.

    Parameters
    ----------
    shape : sequence of int or None
        With the batch first, usually None.
    dtype : str
        Name of the dtype.
    name : str, optional
        By default ``keras_tensor``, ``keras_tensor_1``, ...

    Examples
    --------
    >>> KerasTensor((None, 3), name="x")
    <KerasTensor shape=(None, 3), dtype=float32, name=x>
    """

    def __init__(self, shape: Sequence[int | None], dtype: str = "float32", name: str | None = None) -> None:
        self.shape: Shape = tuple(shape)
        self.dtype = dtype
        self.name = name or unique_name("keras_tensor")
        self.node: Node | None = None
        self.index = 0

    @property
    def ndim(self) -> int:
        """Number of axes, the batch included."""
        return len(self.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NoReturn:
        raise TypeError(f"{self!r} has no data: it stands for a value of a model; call the model, or predict, on an array instead")

    def __bool__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no data, so it is neither true nor false")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{self!r} has no {name!r}: it stands for a value of a model, and only layers and activations take it")

    def __array_ufunc__(self, function: Any, *_: Any, **kwargs: Any) -> NoReturn:
        if function.nin == 2:  # array + tensor
            self.__add__()
        raise TypeError(
            f"np.{function.__name__} cannot compute with {self!r}, which has no data: only layers and activations take it, such as "
            "fastnn.activations.tanh"
        )

    def __len__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no data, so it has no length; its sizes are in shape")

    def __float__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no data, so it is no number")

    __int__ = __index__ = __float__

    def __add__(self, *_: Any) -> NoReturn:
        raise TypeError(
            f"{self!r} has no data to compute with: only layers and activations take it. Layers that join tensors, such as Add and "
            "Concatenate, are not covered yet"
        )

    __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __add__
    __matmul__ = __rmatmul__ = __pow__ = __neg__ = __getitem__ = __add__

    def __iter__(self) -> NoReturn:
        raise TypeError(f"{self!r} has no data to iterate over")

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


class Node:
    """One call of a layer: the tensors that went in and those that came out. A shared layer has one node per call."""

    def __init__(self, layer: Layer, inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> None:
        self.layer, self.inputs, self.outputs = layer, list(inputs), list(outputs)
        for index, tensor in enumerate(self.outputs):
            tensor.node, tensor.index = self, index

    def __repr__(self) -> str:
        return f"<Node {self.layer.name}: {self.inputs} -> {self.outputs}>"


def tensors_of(value: Any) -> list[Any] | None:
    """The tensors in ``value`` (a `KerasTensor`, or a list, tuple or dict of them); None when it holds none."""
    parts = list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list | tuple) else [value]
    return parts if any(isinstance(part, KerasTensor) for part in parts) else None
