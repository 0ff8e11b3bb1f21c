"""Initializers by every name that Keras accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.errors import unknown
from fastnn.initializers.base import Constant, Given, Identity, Initializer, Ones, Zeros
from fastnn.initializers.random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)
from fastnn.naming import snake_case

_CLASSES = (
    *(Constant, GlorotNormal, GlorotUniform, HeNormal, HeUniform, Identity, LecunNormal, LecunUniform),
    *(Ones, Orthogonal, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, Zeros),
)
_BY_NAME: dict[str, type[Initializer]] = {
    **{snake_case(cls.__name__): cls for cls in _CLASSES},
    **{cls.__name__: cls for cls in _CLASSES},
    **{"normal": RandomNormal, "uniform": RandomUniform, "zero": Zeros, "one": Ones, "OrthogonalInitializer": Orthogonal},
}


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
        return Given(identifier)
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
