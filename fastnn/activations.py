"""Activation functions: on arrays they compute, on a `KerasTensor` they add a layer, while lowering they emit rows.

Formulas: Keras 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from fastnn_kernels.warn import warn

from fastnn.config import floatx
from fastnn.errors import refuse_names, unknown
from fastnn.keras_tensor import KerasTensor
from fastnn.tensor import Tensor

if TYPE_CHECKING:
    from fastnn.lowering import builder

__all__ = ["deserialize", "get", "leaky_relu", "linear", "lower", "relu", "serialize", "sigmoid", "softmax", "tanh"]

refuse_names(__name__)


@dataclass(frozen=True)
class _Traced:
    """A tensor of a program that is being built, as an activation function sees it."""

    b: builder.Builder
    tensor: builder.Tensor

    __array_ufunc__ = None

    @property
    def ndim(self) -> int:
        return len(self.tensor.shape) + 1


def linear(x: Any) -> Any:
    """Identity: returns ``x`` as it is.

    >>> linear(3.0)
    3.0
    """
    return x


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """Rectified linear unit.

    Parameters
    ----------
    x : array_like or KerasTensor
        Any shape.
    negative_slope : float
        Slope below ``threshold``; not negative.
    max_value : float, optional
        Values are cut off here; not negative.
    threshold : float
        Not negative.

    Returns
    -------
    ndarray or KerasTensor
        ``max_value`` where x >= max_value, x where x > threshold, else ``negative_slope * (x - threshold)``.

    Raises
    ------
    ValueError
        If a parameter is negative.

    Examples
    --------
    >>> relu([-2.0, 0.5, 9.0], negative_slope=0.5, max_value=6.0).tolist()
    [-1.0, 0.5, 6.0]
    """
    limits = {"negative_slope": negative_slope, "max_value": max_value, "threshold": threshold}
    check_relu(limits)
    return _apply("relu", relu, x, limits)


def check_relu(limits: dict[str, Any]) -> None:
    """Raise ValueError if a parameter of relu is not a number of at least 0 (``max_value``: or None)."""
    for name, value in limits.items():
        if value is None and name == "max_value":
            continue
        if value is None or not value >= 0:
            raise ValueError(f"{name} of relu must be at least 0, got {value!r}")


def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x where x > 0, else ``negative_slope * x``. The slope here is 0.2, that of the layer ``LeakyReLU`` 0.3, as in Keras.

    >>> leaky_relu([-1.0, 2.0]).tolist()
    [-0.20000000298023224, 2.0]
    """
    return relu(x, negative_slope=negative_slope)


def sigmoid(x: Any) -> Any:
    """``1 / (1 + exp(-x))``.

    >>> sigmoid([0.0]).tolist()
    [0.5]
    """
    return _apply("sigmoid", sigmoid, x, {})


def tanh(x: Any) -> Any:
    """The hyperbolic tangent.

    >>> tanh([0.0]).tolist()
    [0.0]
    """
    return _apply("tanh", tanh, x, {})


def softmax(x: Any, axis: int = -1) -> Any:
    """``exp(x) / sum(exp(x))`` over the last axis.

    Parameters
    ----------
    x : array_like or KerasTensor
        At least one axis.
    axis : int
        The last axis.

    Raises
    ------
    ValueError
        If ``axis`` is not the last one.

    Examples
    --------
    >>> softmax([[0.0, 0.0]]).tolist()
    [[0.5, 0.5]]
    """
    ndim = x.ndim if isinstance(x, KerasTensor | _Traced) else np.ndim(x)
    if axis not in (-1, ndim - 1):
        raise ValueError(f"axis of softmax must be the last one, -1, got {axis!r} for {ndim} axes")
    return _apply("softmax", softmax, x, {})


def warn_of_one_class(function: Any, size: int | None) -> None:
    """Warn where ``function`` is a softmax over an axis of length 1, which is 1 whatever goes in."""
    if size == 1 and getattr(function, "func", function) is softmax:
        warn(
            "a softmax over an axis of length 1 always gives 1: for two classes and one output write activation='sigmoid' and "
            "loss='binary_crossentropy'"
        )


def _apply(name: str, function: Callable[..., Any], x: Any, parameters: dict[str, Any]) -> Any:
    """The operation ``name`` on whatever ``x`` is."""
    if isinstance(x, _Traced):
        from fastnn.lowering import operations

        return _Traced(x.b, getattr(operations, name)(x.b, x.tensor, **parameters))
    if isinstance(x, KerasTensor):
        from fastnn.layers import Activation

        return Activation(partial(function, **parameters) if parameters else function)(x)
    return _evaluate(name, x, parameters)


def _evaluate(name: str, x: Any, parameters: dict[str, Any]) -> Tensor:
    """The reference's float64 values; in the dtype of ``x`` if it is an array of float32 or float64, else in `floatx`."""
    from fastnn_kernels.reference.kernels import KERNELS

    dtype = x.dtype if isinstance(x, np.ndarray) and x.dtype in (np.float32, np.float64) else np.dtype(floatx())
    values = np.asarray(x, np.float64)
    rows = values.reshape(-1, values.shape[-1] if values.ndim else 1)
    out = np.empty_like(rows)
    KERNELS[name](rows, out, *(math.inf if value is None else float(value) for value in parameters.values()))
    return out.astype(dtype).reshape(values.shape).view(Tensor)


def lower(b: builder.Builder, function: Any, x: builder.Tensor) -> builder.Tensor:
    """Emit the rows of an activation ``function``: one of this module, a function made of them, or a layer.

    Raises
    ------
    TypeError
        If ``function`` computes something else.
    """
    if hasattr(function, "lower"):
        return function.lower(b, x)
    try:
        out = function(_Traced(b, x))
    except (TypeError, AttributeError) as error:
        raise TypeError(_not_ours(function)) from error
    if not isinstance(out, _Traced):
        raise TypeError(_not_ours(function))
    return out.tensor


def _not_ours(function: Any) -> str:
    name = getattr(function, "__name__", repr(function))
    ours = ", ".join(_BY_NAME)
    return f"activation function {name!r} cannot be compiled: it must be one of fastnn.activations ({ours}) or be made of them"


_BY_NAME: dict[str, Callable[..., Any]] = {
    function.__name__: function for function in (linear, relu, sigmoid, tanh, softmax, leaky_relu)
}


def get(identifier: Any) -> Callable[..., Any]:
    """The activation function for a name, a function or None (`linear`).

    Raises
    ------
    ValueError
        For a name that is not known.
    TypeError
        For anything that is neither a name nor callable.

    Examples
    --------
    >>> get("tanh") is tanh, get(None) is linear
    (True, True)
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            raise unknown("activation function", identifier, _BY_NAME)
        return _BY_NAME[identifier]
    if callable(identifier):
        return identifier() if isinstance(identifier, type) and hasattr(identifier, "lower") else identifier
    raise TypeError(f"activation must be a name such as 'relu', a function or None, got {identifier!r}")


def serialize(function: Callable[..., Any]) -> Any:
    """The name of one of this module's functions; any other function is returned as it is.

    >>> serialize(relu)
    'relu'
    """
    name = getattr(function, "__name__", None)
    return name if name in _BY_NAME and _BY_NAME[name] is function else function


def deserialize(config: Any) -> Callable[..., Any]:
    """The inverse of `serialize`."""
    return get(config)
