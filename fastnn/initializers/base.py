"""Initializer, and the initializers that draw nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnn.config import floatx

Shape = Sequence[int]


class Initializer:
    """Base of all initializers: ``initializer(shape, dtype)`` returns an array.

    One of your own defines ``__call__(self, shape, dtype=None)``; a plain function with that signature does as well.
    """

    def __call__(self, shape: Shape, dtype: DTypeLike | None = None) -> NDArray[Any]:
        """An array of ``shape``; dtype by default `fastnn.config.floatx`."""
        return self._values(tuple(shape)).astype(dtype or floatx())

    def _values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        raise TypeError(f"initializer class {type(self).__name__} must define __call__(self, shape, dtype=None)")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an initializer like this one."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Initializer:
        """An initializer made from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


class Zeros(Initializer):
    """All 0.

    >>> Zeros()((2,)).tolist()
    [0.0, 0.0]
    """

    def _values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.zeros(shape)


class Ones(Initializer):
    """All 1.

    >>> Ones()((2,)).tolist()
    [1.0, 1.0]
    """

    def _values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.ones(shape)


class Constant(Initializer):
    """All ``value``.

    Parameters
    ----------
    value : float
        The value.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = value

    def _values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return np.broadcast_to(np.asarray(self.value, np.float64), shape)

    def get_config(self) -> dict[str, Any]:
        """``value``."""
        return {"value": self.value}


class Identity(Initializer):
    """``gain`` times the identity; for two axes.

    Parameters
    ----------
    gain : float
        Value on the diagonal.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def _values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices, with two axes; got shape {shape}")
        return self.gain * np.eye(*shape)

    def get_config(self) -> dict[str, Any]:
        """``gain``."""
        return {"gain": self.gain}


class Given(Initializer):
    """The values of an array."""

    def __init__(self, value: ArrayLike) -> None:
        self.value = np.array(value)

    def _values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        if self.value.shape != shape:
            raise ValueError(f"an array of shape {self.value.shape} was given as initializer of a weight of shape {shape}")
        return self.value

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}
