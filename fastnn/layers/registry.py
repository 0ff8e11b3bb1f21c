"""Layers to configurations and back."""

from __future__ import annotations

from typing import Any

from fastnn.errors import unknown
from fastnn.layers.activation import Activation, LeakyReLU, ReLU, Softmax
from fastnn.layers.base import Layer
from fastnn.layers.dense import Dense
from fastnn.layers.dropout import Dropout
from fastnn.layers.flatten import Flatten
from fastnn.layers.input import InputLayer

_CLASSES: dict[str, type[Layer]] = {
    layer.__name__: layer for layer in (Activation, Dense, Dropout, Flatten, InputLayer, LeakyReLU, ReLU, Softmax)
}


def register(**classes: type[Layer]) -> None:
    """Let `deserialize` know more classes, by the names in configurations: `fastnn.models` adds its own."""
    _CLASSES.update(classes)


def serialize(layer: Layer) -> dict[str, Any]:
    """``{"class_name": ..., "config": ...}``.

    >>> serialize(Flatten(name="flat"))["class_name"]
    'Flatten'
    """
    return {"class_name": type(layer).__name__, "config": layer.get_config()}


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
    """A layer from what `serialize` returned.

    Parameters
    ----------
    config : dict
        ``class_name`` and ``config``.
    custom_objects : dict, optional
        Classes of your own by name.

    Raises
    ------
    ValueError
        For a class that is not known.

    Examples
    --------
    >>> deserialize({"class_name": "Dense", "config": {"units": 3, "name": "out"}})
    <Dense name=out, built=False>
    """
    known = {**_CLASSES, **(custom_objects or {})}
    if config["class_name"] not in known:
        raise unknown("layer", config["class_name"], known)
    return known[config["class_name"]].from_config(config["config"])
