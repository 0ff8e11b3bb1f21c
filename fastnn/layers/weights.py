"""What a layer's weights are: made, counted, read, replaced, frozen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import initializers
from fastnn.layers.arguments import checked_dtype, checked_flag
from fastnn.variables import Variable

LARGEST_WEIGHT = 1 << 43
"""Bytes, about 9 TB: whatever is larger is a mistake in a shape."""


class Weights:
    """The weights of a `Layer`; a base of it."""

    name: str
    dtype: str
    built: bool
    _trainable: bool
    _trainable_variables: list[Variable]
    _non_trainable_variables: list[Variable]

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        dtype: Any = None,
        trainable: bool = True,
        name: str = "variable",
    ) -> Variable:
        """A new weight of the layer.

        Parameters
        ----------
        shape : sequence of int
            The weight's shape.
        initializer : str, Initializer, callable or array
            Its first value; see `fastnn.initializers.get`.
        dtype : str, optional
            By default the layer's.
        trainable : bool
            Whether it is one that training changes, when the layer is trainable.
        name : str
            Such as ``"kernel"``.
        """
        dtype = self.dtype if dtype is None else checked_dtype(dtype)
        if (size := math.prod(shape) * np.dtype(dtype).itemsize) > LARGEST_WEIGHT:
            raise ValueError(f"weight {name!r} of layer {self.name!r} of shape {tuple(shape)} would take {size / 1e12:.0f} TB")
        value = np.asarray(initializers.get(initializer)(tuple(shape), dtype=dtype))
        if value.shape != tuple(shape):
            raise ValueError(
                f"the initializer of {self.name}/{name} returned an array of shape {value.shape}, expected {tuple(shape)}"
            )
        variable = Variable(value, dtype, name, trainable and self._trainable)
        variable.path = f"{self.name}/{name}"
        (self._trainable_variables if trainable else self._non_trainable_variables).append(variable)
        return variable

    @property
    def weights(self) -> list[Variable]:
        """All weights, trainable ones first."""
        return [*self._trainable_variables, *self._non_trainable_variables]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        return [weight for weight in self.weights if weight.trainable]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves alone."""
        return [weight for weight in self.weights if not weight.trainable]

    @property
    def variables(self) -> list[Variable]:
        """The same as `weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The same as `non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer's weights; setting it reaches every layer inside. Takes effect at once."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = checked_flag(value)
        for variable in self._trainable_variables:
            variable.trainable = self._trainable

    def count_params(self) -> int:
        """How many numbers the weights hold.

        Raises
        ------
        ValueError
            If the layer has no weights yet because it does not know its input.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer {self.name!r}, but the layer isn't built. Build it with "
                "build((None, features)), or call it on data"
            )
        return count_params(self.weights)

    def get_weights(self) -> list[NDArray[Any]]:
        """Copies of the weights, in the order of `weights`."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Replace the values of all weights.

        Parameters
        ----------
        weights : sequence of array_like
            As many as `weights`, with their shapes.

        Raises
        ------
        ValueError
            When the number of weights or a shape differs; nothing is changed then.
        """
        own = self.weights
        if len(own) != len(weights):
            hint = "" if self.built else " The layer has no weights yet: build it with build((None, features)), or call it on data."
            raise ValueError(
                f"You called `set_weights(weights)` on layer {self.name!r} with a weight list of length {len(weights)}, but the "
                f"layer was expecting {len(own)} weights.{hint}"
            )
        try:
            values = [np.asarray(value, weight.dtype) for weight, value in zip(own, weights, strict=True)]
        except (TypeError, ValueError) as error:
            raise ValueError(f"set_weights of layer {self.name!r} takes one array of numbers per weight: {error}") from None
        for weight, value in zip(own, values, strict=True):
            if weight.shape != value.shape:
                raise ValueError(
                    f"Layer {self.name!r} weight shape {weight.shape} is not compatible with provided weight shape {value.shape} "
                    f"(weight {weight.path!r})."
                )
        for weight, value in zip(own, values, strict=True):
            weight.assign(value)


def count_params(weights: Iterable[Variable]) -> int:
    """How many numbers ``weights`` hold."""
    return sum(math.prod(weight.shape) for weight in weights)
