"""Checks of the arguments that layers are given."""

from __future__ import annotations

import inspect
import numbers
import operator
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastnn.config import FLOAT_TYPES, floatx
from fastnn.errors import meant
from fastnn.keras_tensor import Shape

_KNOWN_KEYWORDS = (
    *("autocast", "batch_input_shape", "batch_size", "dtype"),
    *("input_dim", "input_shape", "name", "trainable"),
)


def checked_dtype(dtype: Any) -> str:
    """The name of a float dtype a model can compute in; None: `floatx`."""
    name = floatx() if dtype is None else dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if name not in FLOAT_TYPES:
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return name


def positive_integer(what: str, value: Any) -> int:
    """``value`` as an int, if it is a whole number above 0; NumPy's integers count."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value <= 0:
        raise ValueError(f"Received an invalid value for `{what}`, expected a positive integer. Received: {what}={value!r}")
    return operator.index(value)


def refuse(owner: object, **arguments: Any) -> None:
    """Raise ValueError for an argument of Keras that is given and not supported yet."""
    for name, value in arguments.items():
        if value is not None:
            raise ValueError(f"argument `{name}` of {type(owner).__name__} is not supported yet, got {value!r}: leave it out")


def sample_shape(what: str, shape: Any) -> tuple[int, ...]:
    """One sample's shape, checked."""
    if isinstance(shape, str) or not isinstance(shape, Iterable):
        raise ValueError(f"`{what}` must be one sample's shape such as (4,), got {shape!r}")
    sizes = tuple(shape)
    if any(size is None for size in sizes):
        raise ValueError(f"`{what}` must have known sizes, without the batch; got {sizes}")
    return tuple(positive_integer(what, size) for size in sizes)


def input_shape_argument(kwargs: dict[str, Any]) -> Shape | None:
    """The input's shape with the batch, from ``input_dim``, ``input_shape`` or ``batch_input_shape``, which leave ``kwargs``."""
    dim, shape = kwargs.pop("input_dim", None), kwargs.pop("input_shape", None)
    batch, batch_size = kwargs.pop("batch_input_shape", None), kwargs.pop("batch_size", None)
    if dim is not None:
        return (batch_size, positive_integer("input_dim", dim))
    if shape is not None:
        return (batch_size, *sample_shape("input_shape", shape))
    return None if batch is None else (next(iter(batch)), *sample_shape("batch_input_shape", tuple(batch)[1:]))


def unrecognized(owner: Any, kwargs: dict[str, Any]) -> str:
    """The text for keywords that a layer's class ``owner`` does not have."""
    known = [*inspect.signature(owner).parameters, *_KNOWN_KEYWORDS, *owner.NOT_YET]
    return f"Unrecognized keyword arguments passed to {owner.__name__}: {kwargs}{meant(kwargs, known)}"


def checked_name(name: Any) -> str:
    """``name``, which must be a string without a slash."""
    if not isinstance(name, str) or "/" in name or not name:
        raise ValueError(f"`name` must be a string without '/', got name={name!r}")
    return name


def checked_flag(trainable: Any) -> bool:
    """``trainable``, which must be a bool."""
    if not isinstance(trainable, bool | np.bool_):
        raise ValueError(f"`trainable` must be True or False, got trainable={trainable!r}")
    return bool(trainable)
