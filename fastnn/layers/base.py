"""Layer: what has weights and can be lowered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from fastnn_kernels.cuda.foreign import on_device, read
from fastnn_kernels.warn import warn

from fastnn import dtype_policies
from fastnn.errors import refuse_overrides
from fastnn.keras_tensor import KerasTensor, Node, Shape, tensors_of
from fastnn.layers.arguments import checked_flag, checked_name, input_shape_argument, refuse, unrecognized
from fastnn.layers.weights import Weights
from fastnn.naming import snake_case, unique_name
from fastnn.variables import Variable

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor
    from fastnn.random import Draws


class Layer(Weights):
    """Base of all layers.

    A layer of your own overrides ``build`` (which makes the weights with `add_weight`), ``compute_output_shape`` and ``lower``.

    Parameters
    ----------
    trainable : bool
        Whether training changes the layer's weights.
    dtype : str or DTypePolicy, optional
        ``"float32"``, ``"float64"`` or ``"mixed_bfloat16"``; by default `fastnn.config.dtype_policy`.
    autocast : bool
        Accepted for Keras; inputs are always cast to the model's dtype.
    name : str, optional
        By default the class's name and a number: ``dense``, ``dense_1``, ...
    **kwargs
        ``input_shape`` (one sample's), ``input_dim`` or ``batch_input_shape``: make the first layer of a Sequential say what it
        receives. Of those in `NOT_YET` only None.

    Raises
    ------
    ValueError
        For a keyword that no layer has, or one that is not supported yet.
    TypeError
        For a class that defines ``call`` without ``lower``.
    """

    NOT_YET: tuple[str, ...] = ("activity_regularizer",)
    """Keras's arguments that the layer does not support yet: they may be given as None."""

    min_ndim = 1
    """Least number of axes of the input, the batch included."""

    max_inputs = 1
    """Most tensors the layer can be called on at once."""

    _never_called: tuple[str, ...] = ("call",)
    _never_called_advice = (
        "Layers of your own with call() are not supported yet: compose those of fastnn.layers (to use several as one, subclass "
        "fastnn.Model), or define lower(self, builder, x) with the operations of fastnn.lowering.operations"
    )

    def __init__(
        self,
        *,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        refuse_overrides(type(self), self._never_called, self._never_called_advice)
        refuse(self, **{name: kwargs.pop(name, None) for name in self.NOT_YET})
        self._input_shape_arg = input_shape_argument(kwargs)
        if kwargs:
            raise ValueError(unrecognized(type(self), kwargs))
        self.name = checked_name(name) if name is not None else unique_name(snake_case(type(self).__name__))
        self.dtype_policy = dtype_policies.get(dtype)
        self.dtype = self.dtype_policy.variable_dtype
        self.autocast = autocast
        self.built = False
        self._trainable = checked_flag(trainable)
        self._trainable_variables: list[Variable] = []
        self._non_trainable_variables: list[Variable] = []
        self._inbound_nodes: list[Node] = []
        self._eager: dict[tuple[int, ...], Any] = {}

    if not TYPE_CHECKING:  # a layer does not have every attribute

        def __getattr__(self, name: str) -> Any:
            if "_eager" not in vars(self) and not name.startswith("__"):
                raise AttributeError(f"{type(self).__name__}.__init__ must call super().__init__() first: there is no {name!r} yet")
            return object.__getattribute__(self, name)  # raises what Python, or a property, has to say

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

    @property
    def _draws(self) -> list[Draws]:
        """What the layer draws at random in training."""
        return []

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a layer like this one."""
        return {"name": self.name, "trainable": self.trainable, "dtype": self.dtype_policy.name}

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
            Whether layers such as ``Dropout`` do with an array what they do in training. Of a tensor ``fit``, ``evaluate`` and
            ``predict`` decide that.

        Raises
        ------
        ValueError
            For a tensor and ``training=True``, where that would make a difference.
        """
        tensors = tensors_of(inputs)
        if tensors is None:
            return self._call_arrays(inputs, bool(training))
        shapes = [tensor.shape for tensor in tensors]
        self._ensure_built(shapes)
        if isinstance(training, int | np.bool_) and training and self._draws:
            raise ValueError(
                f"layer {self.name!r} cannot be called with training=True on a tensor of a model: fit drops values, evaluate and "
                "predict do not, as in Keras 3. Leave it out; for dropout outside training call model(x, training=True)"
            )
        outputs = [KerasTensor(shape, self.dtype) for shape in self._output_shapes(shapes)]
        self._inbound_nodes.append(Node(self, tensors, outputs))
        return self._as_called(outputs)

    def _as_called(self, outputs: list[KerasTensor]) -> Any:
        return outputs[0] if len(outputs) == 1 else outputs

    def _output_shapes(self, shapes: list[Shape]) -> list[Shape]:
        return [tuple(self.compute_output_shape(shapes[0] if len(shapes) == 1 else shapes))]

    def _ensure_built(self, shapes: list[Shape]) -> None:
        """Check the inputs' number and shapes, and build if that has not been done."""
        if len(shapes) > self.max_inputs:
            raise ValueError(
                f"layer {self.name!r} takes {self.max_inputs} input{'s' * (self.max_inputs > 1)}, got a list of {len(shapes)}. "
                "Layers that join tensors (Concatenate, Add, ...) are not covered yet"
            )
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
            warn(
                f"layer {self.name!r} was given the input shape {told[1:]}, but its input has shape {shape[1:]}: {shape[1:]} is "
                "used. Only the first layer of a model needs input_dim= or input_shape="
            )

    def _call_arrays(self, inputs: Any, training: bool = False) -> Any:
        """The layer's output for an array: that of a model of this one layer, kept for the next call."""
        from fastnn.models.model import Model

        array = read(inputs, "inputs") if on_device(inputs) else np.asarray(inputs)
        shape = array.shape[1:]
        if shape not in self._eager:
            x = KerasTensor((None, *shape), self.dtype, name="inputs")
            self._ensure_built([array.shape])
            out = KerasTensor(self._output_shapes([(None, *shape)])[0], self.dtype, name="outputs")
            Node(self, [x], [out])
            self._eager[shape] = Model(x, out, name=self.name)
        return self._eager[shape](array, training=training)

    # -- numbers ---------------------------------------------------------------------------------------------------------

    @property
    def compute_dtype(self) -> str:
        """What the layer's products are of; its inputs and outputs are arrays of `variable_dtype`."""
        return self.dtype_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of the layer's weights."""
        return self.dtype

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
