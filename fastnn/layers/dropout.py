"""Dropout: zeros at random, in training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn.keras_tensor import Shape
from fastnn.layers.base import Layer
from fastnn.lowering import operations
from fastnn.program import BATCH
from fastnn.random import Draws

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor

NoiseShape = tuple[int | None, ...]


class Dropout(Layer):
    """In training sets values to 0 at random and divides the others by ``1 - rate``; outside training changes nothing.

    Every step of training draws anew (Srivastava et al. 2014). A layer made after `fastnn.utils.set_random_seed`, or with a
    ``seed``, draws the same again in the next run of the program, on every device and with any number of threads.

    Parameters
    ----------
    rate : float
        Fraction of the values to set to 0, from 0 to 1.
    noise_shape : sequence of int or None, optional
        The input's shape, the batch first, with 1 for each axis along which values are set to 0 together: ``(None, 1, 8)`` for
        inputs (batch, 5, 8). None, and any other number for the batch, stands for the input's size.
    seed : int, optional
        From 0 to 2**32 - 1.
    **kwargs
        Those of `Layer`.

    Raises
    ------
    ValueError
        For a ``rate``, ``noise_shape`` or ``seed`` that is none; when called, for a ``noise_shape`` that does not fit the input.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.ones((1, 8), np.float32)
    >>> drop = Dropout(0.5, seed=3)
    >>> drop(x, training=True)
    Tensor([[0., 2., 0., 0., 2., 0., 2., 0.]], dtype=float32)
    >>> drop(x)
    Tensor([[1., 1., 1., 1., 1., 1., 1., 1.]], dtype=float32)
    """

    def __init__(
        self, rate: float, noise_shape: Sequence[int | None] | None = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.rate, self.noise_shape, self.seed = _checked_rate(rate), _checked_noise_shape(noise_shape), _checked_seed(seed)
        self._own_draws = [Draws(self.seed)] if rate > 0 else []

    @property
    def _draws(self) -> list[Draws]:
        """One, where ``rate`` is not 0."""
        return self._own_draws

    def check_input_shape(self, shape: Shape) -> None:
        """``noise_shape`` must fit."""
        super().check_input_shape(shape)
        try:
            operations.sharing((BATCH, *(size or 1 for size in shape[1:])), _shared_axes(self.noise_shape, shape))
        except ValueError as error:
            raise ValueError(f"noise_shape={self.noise_shape} of layer {self.name!r}, inputs of shape {shape}: {error}") from None

    def lower(self, b: Builder, *inputs: Tensor) -> Tensor:
        """The row of dropout; none outside training."""
        x = inputs[0]
        if not self._own_draws:
            return x
        return operations.dropout(b, x, self.rate, self._own_draws[0].seed, _shared_axes(self.noise_shape, (None, *x.shape)))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one; without a ``seed`` it draws other numbers."""
        return {**super().get_config(), "rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}


def _shared_axes(noise_shape: NoiseShape | None, shape: Shape) -> list[bool]:
    """Along which axes of ``shape``, the batch first, one number serves all."""
    if noise_shape is None:
        return [False] * len(shape)
    missing = len(shape) - len(noise_shape)
    if missing < 0:
        raise ValueError(f"it has {len(noise_shape)} axes, the input has {len(shape)}")
    if missing and None in noise_shape:
        raise ValueError(f"with None it must have all {len(shape)} axes of the input")
    wanted = [*[1] * missing, *noise_shape]
    for axis, (noise, size) in enumerate(zip(wanted, shape, strict=True)):
        if axis and noise not in (None, 1, size):
            raise ValueError(f"{noise} at axis {axis} is neither 1, None nor {size}")
    return [noise == 1 for noise in wanted]


def _checked_rate(rate: Any) -> float:
    if not isinstance(rate, float | int | np.floating | np.integer) or not 0 <= rate <= 1:
        raise ValueError(
            f"Invalid value received for argument `rate`. Expected a float value between 0 and 1. Received: rate={rate!r}"
        )
    return float(rate)


def _checked_seed(seed: Any) -> int | None:
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer)):
        raise ValueError(f"Argument `seed` must be an integer. Received: seed={seed!r}")
    if seed is not None and not 0 <= seed < 2**32:
        raise ValueError(f"Argument `seed` must be an integer from 0 to 2**32 - 1. Received: seed={seed}")
    return None if seed is None else int(seed)


def _checked_noise_shape(noise_shape: Any) -> NoiseShape | None:
    if noise_shape is None:
        return None
    about = "Invalid value received for argument `noise_shape`. Expected"
    if isinstance(noise_shape, str) or not isinstance(noise_shape, Iterable):
        raise ValueError(f"{about} a tuple or list of integers. Received: noise_shape={noise_shape!r}")
    sizes = tuple(noise_shape)
    for place, size in enumerate(sizes):
        if size is not None and (isinstance(size, bool) or not isinstance(size, int | np.integer)):
            raise ValueError(
                f"{about} all elements to be integers or None. Received element at index {place}: {size!r} "
                f"(type: {type(size).__name__})"
            )
        if size is not None and size <= 0:
            raise ValueError(
                f"{about} all dimensions to be positive integers or None. Received negative or zero value at index {place}: {size}"
            )
    return tuple(None if size is None else int(size) for size in sizes)
