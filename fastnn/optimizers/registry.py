"""Optimizers by name."""

from __future__ import annotations

from typing import Any

from fastnn.errors import unknown
from fastnn.optimizers.adagrad import Adagrad
from fastnn.optimizers.adam import Adam
from fastnn.optimizers.base import Optimizer
from fastnn.optimizers.rmsprop import RMSprop
from fastnn.optimizers.sgd import SGD

_BY_NAME: dict[str, type[Any]] = {cls.__name__.lower(): cls for cls in (Adagrad, Adam, RMSprop, SGD)}


def get(identifier: Any) -> Any:
    """The optimizer for a name (letter case does not matter), a configuration, a class or an optimizer; None for None.

    Raises
    ------
    ValueError
        For a name that is not known, or anything else.

    Examples
    --------
    >>> get("RMSprop").get_config()["rho"]
    0.9
    """
    if identifier is None or isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        return _class_called(identifier)()
    if isinstance(identifier, type) and issubclass(identifier, Optimizer):
        return identifier()  # type: ignore[call-arg]
    raise ValueError(
        f"Could not interpret optimizer identifier: {identifier!r}. Give a name such as 'adam', or an optimizer such as "
        "fastnn.optimizers.Adam(0.001)"
    )


def _class_called(name: str) -> type[Any]:
    if name.lower() not in _BY_NAME:
        raise unknown("optimizer", name, _BY_NAME)
    return _BY_NAME[name.lower()]


def serialize(optimizer: Optimizer) -> dict[str, Any]:
    """``{"class_name": ..., "config": ...}``."""
    return {"class_name": type(optimizer).__name__, "config": optimizer.get_config()}


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """The inverse of `serialize`."""
    cls = (custom_objects or {}).get(config["class_name"]) or _class_called(config["class_name"])
    return cls.from_config(config.get("config", {}))
