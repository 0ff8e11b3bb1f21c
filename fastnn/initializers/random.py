"""Initializers that draw. Distributions: Keras 3."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.initializers.base import Initializer
from fastnn.random import next_seed

TRUNCATION = 0.87962566103423978
"""Standard deviation of a unit normal that is cut off at 2."""


class RandomInitializer(Initializer):
    """Base of those that draw: the same seed gives the same values in every call, as in Keras.

    Without a seed every call draws new values, so that one initializer given to two layers of one shape makes them differ; in
    Keras they would be equal.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0):
            raise ValueError(f"seed must be an integer of at least 0 or None, got {seed!r}")
        self.seed = None if seed is None else int(seed)

    def _values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        return self._draw(np.random.default_rng(next_seed() if self.seed is None else self.seed), shape)

    def _draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
        raise TypeError(f"initializer class {type(self).__name__} must define __call__(self, shape, dtype=None)")

    def get_config(self) -> dict[str, Any]:
        """``seed``."""
        return {"seed": self.seed}


class RandomNormal(RandomInitializer):
    """Normal values.

    Parameters
    ----------
    mean, stddev : float
        Mean and standard deviation.
    seed : int, optional
        See `RandomInitializer`.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.mean, self.stddev = mean, stddev

    def _draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
        return self.mean + self.stddev * generator.normal(size=shape)

    def get_config(self) -> dict[str, Any]:
        """``mean``, ``stddev`` and ``seed``."""
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normal values, drawn again while further than two standard deviations from the mean.

    Parameters
    ----------
    mean, stddev : float
        Mean and standard deviation before the cut.
    seed : int, optional
        See `RandomInitializer`.
    """

    def _draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
        return self.mean + self.stddev * truncated_normal(generator, shape)


class RandomUniform(RandomInitializer):
    """Uniform values.

    Parameters
    ----------
    minval, maxval : float
        Bounds; ``maxval`` is not reached.
    seed : int, optional
        See `RandomInitializer`.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        super().__init__(seed)
        self.minval, self.maxval = minval, maxval

    def _draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
        return generator.uniform(self.minval, self.maxval, shape)

    def get_config(self) -> dict[str, Any]:
        """``minval``, ``maxval`` and ``seed``."""
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


class VarianceScaling(RandomInitializer):
    """Values of variance ``scale / n``, n being the inputs, the outputs, or the mean of both.

    Parameters
    ----------
    scale : float
        Above 0.
    mode : str
        ``"fan_in"``, ``"fan_out"`` or ``"fan_avg"``: what n is.
    distribution : str
        ``"truncated_normal"`` (its variance after the cut is that), ``"untruncated_normal"`` or ``"uniform"``.
    seed : int, optional
        See `RandomInitializer`.

    Raises
    ------
    ValueError
        If a parameter is none of these.
    """

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "truncated_normal", seed: int | None = None
    ) -> None:
        super().__init__(seed)
        distribution = "truncated_normal" if distribution.lower() == "normal" else distribution.lower()
        if not scale > 0:
            raise ValueError(f"`scale` must be above 0, got scale={scale!r}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"`mode` must be 'fan_in', 'fan_out' or 'fan_avg', got mode={mode!r}")
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise ValueError(f"`distribution` must be 'truncated_normal', 'untruncated_normal' or 'uniform', got {distribution!r}")
        self.scale, self.mode, self.distribution = scale, mode, distribution

    def _draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
        inputs, outputs = fans(shape)
        n = {"fan_in": inputs, "fan_out": outputs, "fan_avg": (inputs + outputs) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return generator.uniform(-limit, limit, shape)
        if self.distribution == "untruncated_normal":
            return generator.normal(0.0, math.sqrt(variance), shape)
        return math.sqrt(variance) / TRUNCATION * truncated_normal(generator, shape)

    def get_config(self) -> dict[str, Any]:
        """``scale``, ``mode``, ``distribution`` and ``seed``."""
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}


class _NamedScaling(VarianceScaling):
    """A `VarianceScaling` that has a name of its own; its only argument is ``seed``."""

    arguments: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.arguments, seed=seed)

    def get_config(self) -> dict[str, Any]:
        """``seed``."""
        return {"seed": self.seed}


class GlorotUniform(_NamedScaling):
    """Uniform in +-sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010).

    >>> bool(abs(GlorotUniform(seed=1)((3, 3))).max() <= 1)
    True
    """

    arguments = (1.0, "fan_avg", "uniform")


class GlorotNormal(_NamedScaling):
    """Truncated normal of variance 2 / (inputs + outputs) (Glorot and Bengio 2010)."""

    arguments = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_NamedScaling):
    """Uniform in +-sqrt(6 / inputs) (He et al. 2015)."""

    arguments = (2.0, "fan_in", "uniform")


class HeNormal(_NamedScaling):
    """Truncated normal of variance 2 / inputs (He et al. 2015)."""

    arguments = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_NamedScaling):
    """Uniform in +-sqrt(3 / inputs) (LeCun et al. 1998)."""

    arguments = (1.0, "fan_in", "uniform")


class LecunNormal(_NamedScaling):
    """Truncated normal of variance 1 / inputs (LeCun et al. 1998)."""

    arguments = (1.0, "fan_in", "truncated_normal")


class Orthogonal(RandomInitializer):
    """``gain`` times a random matrix with orthonormal rows or columns, whichever are fewer (Saxe et al. 2014).

    Parameters
    ----------
    gain : float
        Factor.
    seed : int, optional
        See `RandomInitializer`.
    """

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        super().__init__(seed)
        self.gain = gain

    def _draw(self, generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[Any]:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs at least two axes, got shape {shape}")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        q, r = np.linalg.qr(generator.normal(size=(max(rows, columns), min(rows, columns))))
        q *= np.sign(np.diag(r))  # makes the distribution uniform
        return self.gain * (q.T if rows < columns else q).reshape(shape)

    def get_config(self) -> dict[str, Any]:
        """``gain`` and ``seed``."""
        return {"gain": self.gain, "seed": self.seed}


def truncated_normal(generator: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Unit normal values, drawn again while beyond +-2."""
    values = generator.normal(size=shape)
    while (beyond := np.abs(values) > 2.0).any():
        values[beyond] = generator.normal(size=int(beyond.sum()))
    return values


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Inputs and outputs of a weight: the last two axes, each times the axes before; of a vector both are its length."""
    if len(shape) < 2:
        return (math.prod(shape),) * 2
    field = math.prod(shape[:-2])
    return shape[-2] * field, shape[-1] * field
