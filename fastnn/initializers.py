"""Initializers: the first values of weights. Distributions and names: Keras 3."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from fastnn.config import floatx
from fastnn.errors import unknown
from fastnn.naming import snake_case
from fastnn.random import next_seed

Shape = Sequence[int]

TRUNCATION = 0.87962566103423978
"""Standard deviation of a unit normal that is cut off at 2."""


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


_CLASSES = (
    *(Constant, GlorotNormal, GlorotUniform, HeNormal, HeUniform, Identity, LecunNormal, LecunUniform),
    *(Ones, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, Zeros),
)
_BY_NAME: dict[str, type[Initializer]] = {
    **{snake_case(cls.__name__): cls for cls in _CLASSES},
    **{cls.__name__: cls for cls in _CLASSES},
    **{"normal": RandomNormal, "uniform": RandomUniform, "zero": Zeros, "one": Ones, "OrthogonalInitializer": Orthogonal},
}


class _Given(Initializer):
    """The values of an array."""

    def __init__(self, value: ArrayLike) -> None:
        self.value = np.array(value)

    def _values(self, shape: tuple[int, ...]) -> NDArray[Any]:
        if self.value.shape != shape:
            raise ValueError(f"an array of shape {self.value.shape} was given as initializer of a weight of shape {shape}")
        return self.value

    def get_config(self) -> dict[str, Any]:
        return {"value": self.value}


def get(identifier: Any) -> Callable[..., Any]:
    """The initializer for a name, a configuration, an array, a class, a function or an initializer.

    Raises
    ------
    ValueError
        For a name that is not known.
    TypeError
        For anything else.

    Examples
    --------
    >>> get("he_normal")
    HeNormal(seed=None)
    >>> get([[1.0, 2.0]])((1, 2)).tolist()
    [[1.0, 2.0]]
    """
    if isinstance(identifier, dict):
        return _class_called(identifier["class_name"]).from_config(identifier.get("config", {}))
    if isinstance(identifier, str):
        return _class_called(identifier)()
    if isinstance(identifier, np.ndarray | np.generic | list | tuple):
        return _Given(identifier)
    if callable(identifier):
        return identifier() if isinstance(identifier, type) else identifier
    raise TypeError(f"initializer must be a name such as 'he_normal', an initializer, an array or a function, got {identifier!r}")


def _class_called(name: str) -> type[Initializer]:
    if name not in _BY_NAME:
        raise unknown("initializer", name, _BY_NAME)
    return _BY_NAME[name]


def serialize(initializer: Any) -> Any:
    """``{"class_name": ..., "config": ...}`` of an initializer of this module; anything else is returned as it is.

    >>> serialize(Ones())
    {'class_name': 'Ones', 'config': {}}
    """
    if type(initializer) in _CLASSES:
        return {"class_name": type(initializer).__name__, "config": initializer.get_config()}
    return initializer


def deserialize(config: Any) -> Callable[..., Any]:
    """The inverse of `serialize`."""
    return get(config)
