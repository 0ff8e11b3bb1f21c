"""Layer: what has weights and can be lowered."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn import initializers
from fastnn.keras_tensor import KerasTensor, Node, Shape, tensors_of
from fastnn.layers.arguments import checked_dtype, checked_flag, checked_name, input_shape_argument, refuse, unrecognized
from fastnn.naming import snake_case, unique_name
from fastnn.variables import Variable

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor


class Layer:
    """Base of all layers.

    A layer of your own overrides ``build`` (which makes the weights with `add_weight`), ``compute_output_shape`` and ``lower``.

    Parameters
    ----------
    activity_regularizer : None
        Not supported yet.
    trainable : bool
        Whether training changes the layer's weights.
    dtype : str, optional
        ``"float32"`` or ``"float64"``; by default `fastnn.config.floatx`.
    autocast : bool
        Accepted for Keras; inputs are always cast to the model's dtype.
    name : str, optional
        By default the class's name and a number: ``dense``, ``dense_1``, ...
    **kwargs
        ``input_shape`` (one sample's), ``input_dim`` or ``batch_input_shape``: make the first layer of a Sequential say what it
        receives.

    Raises
    ------
    ValueError
        For a keyword that no layer has, or one that is not supported yet.
    """

    min_ndim = 1
    """Least number of axes of the input, the batch included."""

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse(self, activity_regularizer=activity_regularizer)
        self._input_shape_arg = input_shape_argument(kwargs)
        if kwargs:
            raise ValueError(unrecognized(type(self), kwargs))
        self.name = checked_name(name) if name is not None else unique_name(snake_case(type(self).__name__))
        self.dtype = checked_dtype(dtype)
        self.autocast = autocast
        self.built = False
        self._trainable = checked_flag(trainable)
        self._trainable_variables: list[Variable] = []
        self._non_trainable_variables: list[Variable] = []
        self._inbound_nodes: list[Node] = []
        self._eager: dict[tuple[int, ...], Any] = {}

    # -- what a layer defines --------------------------------------------------------------------------------------------

    def build(self, input_shape: Any) -> None:
        """Make the weights for inputs of ``input_shape``, the batch first."""
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The output's shape for inputs of ``input_shape``, the batch first."""
        return input_shape

    def lower(self, b: Builder, *inputs: Tensor) -> Any:
        """Emit the layer's rows with `fastnn.lowering.operations` and return its output."""
        raise TypeError(
            f"layer {self.name!r} of class {type(self).__name__} cannot be compiled: its class must define lower(self, builder, x) "
            "with the operations of fastnn.lowering.operations"
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one."""
        return {"name": self.name, "trainable": self.trainable, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer made from what `get_config` returned; its weights are new."""
        return cls(**config)

    # -- calls -----------------------------------------------------------------------------------------------------------

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """On a `KerasTensor` record a node; on an array compute.

        Parameters
        ----------
        inputs : KerasTensor, array_like, or a list of them
            With the batch first.
        training : bool, optional
            Accepted for Keras; no layer so far differs between training and use.
        """
        tensors = tensors_of(inputs)
        if tensors is None:
            return self._call_arrays(inputs)
        shapes = [tensor.shape for tensor in tensors]
        self._ensure_built(shapes)
        outputs = [KerasTensor(shape, self.dtype) for shape in self._output_shapes(shapes)]
        self._inbound_nodes.append(Node(self, tensors, outputs))
        return self._as_called(outputs)

    def _as_called(self, outputs: list[KerasTensor]) -> Any:
        return outputs[0] if len(outputs) == 1 else outputs

    def _output_shapes(self, shapes: list[Shape]) -> list[Shape]:
        return [tuple(self.compute_output_shape(shapes[0] if len(shapes) == 1 else shapes))]

    def _ensure_built(self, shapes: list[Shape]) -> None:
        """Check the inputs' shapes, and build if that has not been done."""
        for shape in shapes:
            if any(size is None for size in shape[1:]):
                raise ValueError(f"layer {self.name!r}: only the batch may be None in the input's shape, got {shape}")
            self.check_input_shape(shape)
        if not self.built:
            self._warn_of_input_shape(shapes[0])
            self.build(shapes[0] if len(shapes) == 1 else shapes)
            self.built = True

    def check_input_shape(self, shape: Shape) -> None:
        """Raise ValueError when the layer cannot take inputs of ``shape``."""
        if len(shape) < self.min_ndim:
            raise ValueError(
                f"Input 0 of layer {self.name!r} is incompatible with the layer: expected min_ndim={self.min_ndim}, found "
                f"ndim={len(shape)}. Full shape received: {shape}. One sample has shape (1, features): write x[np.newaxis]"
            )

    def _warn_of_input_shape(self, shape: Shape) -> None:
        told = self._input_shape_arg
        if told is not None and told[1:] != shape[1:]:
            from warnings import warn

            warn(
                f"layer {self.name!r} was given the input shape {told[1:]}, but its input has shape {shape[1:]}: {shape[1:]} is "
                "used. Only the first layer of a model needs input_dim= or input_shape=",
                stacklevel=6,
            )

    def _call_arrays(self, inputs: Any) -> Any:
        """The layer's output for an array: that of a model of this one layer, kept for the next call."""
        from fastnn.models.model import Model

        array = np.asarray(inputs)
        shape = array.shape[1:]
        if shape not in self._eager:
            x = KerasTensor((None, *shape), self.dtype, name="inputs")
            self._ensure_built([array.shape])
            out = KerasTensor(self._output_shapes([(None, *shape)])[0], self.dtype, name="outputs")
            Node(self, [x], [out])
            self._eager[shape] = Model(x, out, name=self.name)
        return self._eager[shape](array)

    # -- weights ---------------------------------------------------------------------------------------------------------

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = "glorot_uniform",
        dtype: Any = None,
        trainable: bool = True,
        name: str = "variable",
    ) -> Variable:
        """A new weight of the layer.

        Parameters
        ----------
        shape : sequence of int
            The weight's shape.
        initializer : str, Initializer, callable or array
            Its first value; see `fastnn.initializers.get`.
        dtype : str, optional
            By default the layer's.
        trainable : bool
            Whether it is one that training changes, when the layer is trainable.
        name : str
            Such as ``"kernel"``.
        """
        dtype = self.dtype if dtype is None else checked_dtype(dtype)
        value = np.asarray(initializers.get(initializer)(tuple(shape), dtype=dtype))
        if value.shape != tuple(shape):
            raise ValueError(
                f"the initializer of {self.name}/{name} returned an array of shape {value.shape}, expected {tuple(shape)}"
            )
        variable = Variable(value, dtype, name, trainable and self._trainable)
        variable.path = f"{self.name}/{name}"
        (self._trainable_variables if trainable else self._non_trainable_variables).append(variable)
        return variable

    @property
    def weights(self) -> list[Variable]:
        """All weights, trainable ones first."""
        return [*self._trainable_variables, *self._non_trainable_variables]

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        return [weight for weight in self.weights if weight.trainable]

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves alone."""
        return [weight for weight in self.weights if not weight.trainable]

    @property
    def variables(self) -> list[Variable]:
        """The same as `weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[Variable]:
        """The same as `trainable_weights`."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The same as `non_trainable_weights`."""
        return self.non_trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether training changes the layer's weights; setting it reaches every layer inside. Takes effect at once."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = checked_flag(value)
        for variable in self._trainable_variables:
            variable.trainable = self._trainable

    def count_params(self) -> int:
        """How many numbers the weights hold.

        Raises
        ------
        ValueError
            If the layer has no weights yet because it does not know its input.
        """
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on layer {self.name!r}, but the layer isn't built. Build it with "
                "build((None, features)), or call it on data"
            )
        return count_params(self.weights)

    def get_weights(self) -> list[NDArray[Any]]:
        """Copies of the weights, in the order of `weights`."""
        return [weight.numpy() for weight in self.weights]

    def set_weights(self, weights: Sequence[ArrayLike]) -> None:
        """Replace the values of all weights.

        Parameters
        ----------
        weights : sequence of array_like
            As many as `weights`, with their shapes.

        Raises
        ------
        ValueError
            When the number of weights or a shape differs; nothing is changed then.
        """
        own = self.weights
        if len(own) != len(weights):
            hint = "" if self.built else " The layer has no weights yet: build it with build((None, features)), or call it on data."
            raise ValueError(
                f"You called `set_weights(weights)` on layer {self.name!r} with a weight list of length {len(weights)}, but the "
                f"layer was expecting {len(own)} weights.{hint}"
            )
        values = [np.asarray(value, weight.dtype) for weight, value in zip(own, weights, strict=True)]
        for weight, value in zip(own, values, strict=True):
            if weight.shape != value.shape:
                raise ValueError(
                    f"Layer {self.name!r} weight shape {weight.shape} is not compatible with provided weight shape {value.shape} "
                    f"(weight {weight.path!r})."
                )
        for weight, value in zip(own, values, strict=True):
            weight.assign(value)

    # -- what it was called on -------------------------------------------------------------------------------------------

    @property
    def input(self) -> Any:
        """The tensor (or tensors) the layer was called on; only for a layer that was called once."""
        return self._as_called(self._only_node("input").inputs)

    @property
    def output(self) -> Any:
        """The tensor (or tensors) the layer returned; only for a layer that was called once."""
        return self._as_called(self._only_node("output").outputs)

    def _only_node(self, what: str) -> Node:
        if len(self._inbound_nodes) != 1:
            calls = f"has been called {len(self._inbound_nodes)} times" if self._inbound_nodes else "has never been called"
            raise AttributeError(
                f"layer {self.name!r} {calls} on a tensor of a model, so it has no single {what}. Keep what the call returned"
            )
        return self._inbound_nodes[0]

    def __getstate__(self) -> dict[str, Any]:
        """Without the nodes, which belong to models, and without the models that served calls on arrays."""
        return {**self.__dict__, "_inbound_nodes": [], "_eager": {}}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def count_params(weights: Iterable[Variable]) -> int:
    """How many numbers ``weights`` hold."""
    return sum(math.prod(weight.shape) for weight in weights)
