"""Layers without weights that apply an activation."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from fastnn_kernels.warn import warn

from fastnn import activations
from fastnn.keras_tensor import Shape
from fastnn.layers.base import Layer

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor


class Activation(Layer):
    """Applies an activation function.

    Parameters
    ----------
    activation : str or callable
        See `fastnn.activations`.
    **kwargs
        Those of `Layer`.

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> Activation("tanh").get_config()["activation"]
    'tanh'
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def check_input_shape(self, shape: Shape) -> None:
        """A softmax over one value is warned of."""
        super().check_input_shape(shape)
        activations.warn_of_one_class(self.activation, shape[-1])

    def lower(self, b: Builder, *inputs: Tensor) -> Tensor:
        """The rows of the function."""
        return activations.lower(b, self.activation, inputs[0])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one."""
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class ReLU(Layer):
    """Rectified linear unit; see `fastnn.activations.relu`.

    Parameters
    ----------
    max_value : float, optional
        Values are cut off here.
    negative_slope : float
        Slope below ``threshold``.
    threshold : float
        Values up to here are scaled by ``negative_slope``.
    **kwargs
        Those of `Layer`.

    Raises
    ------
    ValueError
        If a parameter is negative.
    """

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._limits: dict[str, Any] = {"max_value": max_value, "negative_slope": negative_slope, "threshold": threshold}
        activations.check_relu(self._limits)
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def lower(self, b: Builder, *inputs: Tensor) -> Tensor:
        """The rows of relu."""
        return activations.lower(b, partial(activations.relu, **self._limits), inputs[0])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one."""
        return {**super().get_config(), **self._limits}


class LeakyReLU(Layer):
    """x where x > 0, else ``negative_slope * x``.

    Parameters
    ----------
    negative_slope : float
        Not negative; 0.3, where the function `fastnn.activations.leaky_relu` has 0.2, as in Keras.
    **kwargs
        Those of `Layer`; ``alpha``, the old name of ``negative_slope``, with a warning.

    Raises
    ------
    ValueError
        If ``negative_slope`` is negative or None.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
            warn("argument `alpha` of LeakyReLU is deprecated: write negative_slope=")
        super().__init__(**kwargs)
        activations.check_relu({"negative_slope": negative_slope})
        self.negative_slope = negative_slope

    def lower(self, b: Builder, *inputs: Tensor) -> Tensor:
        """The rows of leaky relu."""
        return activations.lower(b, partial(activations.leaky_relu, negative_slope=self.negative_slope), inputs[0])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


class Softmax(Layer):
    """Softmax over the last axis; see `fastnn.activations.softmax`.

    Parameters
    ----------
    axis : int
        -1, the last one.
    **kwargs
        Those of `Layer`.

    Raises
    ------
    ValueError
        When called, if ``axis`` is not the last one.
    """

    min_ndim = 2

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def check_input_shape(self, shape: Shape) -> None:
        """``axis`` must be the last one; a softmax over one value is warned of."""
        super().check_input_shape(shape)
        if self.axis not in (-1, len(shape) - 1):
            raise ValueError(
                f"`axis` of layer {self.name!r} must be -1, the last one, got axis={self.axis!r} for the input shape {shape}"
            )
        activations.warn_of_one_class(activations.softmax, shape[-1])

    def lower(self, b: Builder, *inputs: Tensor) -> Tensor:
        """The rows of softmax."""
        return activations.lower(b, partial(activations.softmax, axis=self.axis), inputs[0])

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one."""
        return {**super().get_config(), "axis": self.axis}
