"""Losses by every name that Keras accepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fastnn.errors import not_one_of, refuse_overrides, unknown
from fastnn.losses import functions
from fastnn.losses.base import Loss
from fastnn.losses.crossentropy import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from fastnn.losses.regression import MeanAbsoluteError, MeanSquaredError

CLASS_OF: dict[Callable[..., Any], type[Loss]] = {
    functions.mean_squared_error: MeanSquaredError,
    functions.mean_absolute_error: MeanAbsoluteError,
    functions.binary_crossentropy: BinaryCrossentropy,
    functions.categorical_crossentropy: CategoricalCrossentropy,
    functions.sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
}
"""The class that computes what a function does."""

_SHORT = {"mse": functions.mean_squared_error, "mae": functions.mean_absolute_error, "bce": functions.binary_crossentropy}

_BY_NAME: dict[str, Any] = {
    **{function.__name__: function for function in CLASS_OF},
    **{cls.__name__: cls for cls in CLASS_OF.values()},
    **_SHORT,
    **{name.upper(): function for name, function in _SHORT.items()},
}


def get(identifier: Any) -> Any:
    """The loss for a name, a configuration, a class, a function of this module or a loss; None for None.

    Returns
    -------
    Loss or callable
        As in Keras, a function for ``"mean_squared_error"`` and ``"mse"``, a `Loss` for ``"MeanSquaredError"``.

    Raises
    ------
    ValueError
        For a name that is not known, and for a function of your own, which is not supported yet.
    TypeError
        For a loss of a class of your own whose ``call`` would be ignored.

    Examples
    --------
    >>> get("mae").__name__
    'mean_absolute_error'
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            raise unknown("loss", identifier, _BY_NAME)
        identifier = _BY_NAME[identifier]
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        identifier = identifier()
    if isinstance(identifier, Loss):
        advice = "Losses of your own are not supported yet: use those of fastnn.losses"
        refuse_overrides(type(identifier), ("call", "__call__"), advice, ("instruction", "lower"))
    elif identifier is not None and _function_of(identifier) not in CLASS_OF:
        raise not_one_of("loss", identifier, _BY_NAME)
    return identifier


def _function_of(identifier: Any) -> Any:
    function = identifier.func if isinstance(identifier, partial) else identifier
    return function if callable(function) else None


def as_loss(found: Any) -> Loss:
    """The `Loss` that computes what `get` found."""
    if isinstance(found, Loss):
        return found
    keywords = found.keywords if isinstance(found, partial) else {}
    return CLASS_OF[_function_of(found)](**keywords)


def resolve(identifier: Any, output_shape: Sequence[int | None], target_shape: Sequence[int | None]) -> Loss:
    """The `Loss` that ``compile(loss=identifier)`` means for an output; both shapes with the batch first.

    ``"crossentropy"`` and ``"ce"`` are, as in Keras, the binary one for an output with one value, the sparse one where y has
    fewer axes than the output (or one value for several classes), else the categorical one.

    Raises
    ------
    ValueError
        For a name that is not known, or a loss whose reduction is ``"none"``.
    """
    if isinstance(identifier, str) and identifier.lower() in ("crossentropy", "ce"):
        kinds = {
            "binary": BinaryCrossentropy,
            "sparse": SparseCategoricalCrossentropy,
            "categorical": CategoricalCrossentropy,
        }
        return kinds[classification_kind(output_shape, target_shape)]()
    loss = as_loss(get(identifier))
    if loss.reduction == "none":
        raise ValueError(
            f"loss {loss.name!r} has reduction='none', one value a row, but training needs one number: use "
            "'sum_over_batch_size' or 'sum'"
        )
    return loss


def classification_kind(output_shape: Sequence[int | None], target_shape: Sequence[int | None]) -> str:
    """``"binary"``, ``"sparse"`` or ``"categorical"``, by the shapes of an output and its y, both with the batch first."""
    if output_shape[-1] == 1:
        return "binary"
    one_value = len(target_shape) > 1 and target_shape[-1] == 1
    return "sparse" if len(target_shape) < len(output_shape) or one_value else "categorical"


def serialize(loss: Any) -> Any:
    """The name of a function, or ``{"class_name": ..., "config": ...}`` of a loss."""
    if isinstance(loss, Loss):
        return {"class_name": type(loss).__name__, "config": loss.get_config()}
    return loss.__name__


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The inverse of `serialize`."""
    if isinstance(config, str):
        return get(config)
    known = {**{cls.__name__: cls for cls in CLASS_OF.values()}, **(custom_objects or {})}
    if config["class_name"] not in known:
        raise unknown("loss", config["class_name"], known)
    return known[config["class_name"]].from_config(config.get("config", {}))
