"""Sequential: one layer after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn.keras_tensor import KerasTensor, Shape
from fastnn.layers import registry
from fastnn.layers.base import Layer
from fastnn.layers.input import InputLayer
from fastnn.models.model import Model


class Sequential(Model):
    """A stack of layers.

    Parameters
    ----------
    layers : sequence of Layer, optional
        The first may be ``Input(shape)``. Without it, and without ``input_shape=`` on the first layer, the weights are made when
        the model first sees data.
    trainable : bool
        False freezes every layer.
    name : str, optional
        By default ``sequential``, ``sequential_1``, ...

    Raises
    ------
    ValueError
        If something is not a layer, or two layers have one name.

    Examples
    --------
    >>> from fastnn.layers import Dense, Input
    >>> model = Sequential([Input((3,)), Dense(4, activation="relu"), Dense(2)])
    >>> model.add(Dense(1))
    >>> model.output_shape, model.count_params()
    ((None, 1), 29)
    """

    _never_called: tuple[str, ...] = (*Model._never_called, "call")

    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None) -> None:
        if layers is not None and not isinstance(layers, list | tuple):
            raise ValueError(f"`layers` of Sequential must be a list of layers, got {layers!r}: write Sequential([...])")
        super().__init__(name=name, trainable=trainable)
        self._layers: list[Layer] = []
        for layer in layers or ():
            self.add(layer)

    # -- the stack -------------------------------------------------------------------------------------------------------

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Put a layer on top.

        Parameters
        ----------
        layer : Layer or KerasTensor
            A layer; or, as the first, ``Input(shape)``.
        rebuild : bool
            Accepted for Keras; a model that knows its input is always ready.

        Raises
        ------
        ValueError
            If it is not a layer, its name is taken, or it cannot take what the layer below returns; the model is unchanged.
        """
        layer = self._as_layer(layer)
        if not self._layers and (shape := _own_input_shape(layer)) is not None:
            source = InputLayer(batch_shape=shape)
            self._append(source)
            try:
                self._append(layer)
            except ValueError:
                self._layers = []
                raise
        else:
            self._append(layer)

    def _append(self, layer: Layer) -> None:
        if isinstance(layer, InputLayer) and self._layers:
            had = f" It already has the input shape {self.input_shape}." if isinstance(self._layers[0], InputLayer) else ""
            raise ValueError(f"an Input must be the first layer of Sequential model {self.name!r}.{had}")
        if self._layers and isinstance(self._layers[0], InputLayer):
            top = layer(self._top())
            try:
                self._set_chain(top)
            except ValueError:
                layer._inbound_nodes.remove(top.node)
                raise
        if not self._trainable:
            layer.trainable = False
        self._layers.append(layer)

    def pop(self, rebuild: bool = True) -> Layer:
        """Take the top layer off and return it.

        Raises
        ------
        IndexError
            If there is none.
        """
        if not self.layers:
            raise IndexError(f"there is no layer in Sequential model {self.name!r} to pop")
        layer = self._layers.pop()
        if self.graph is not None:
            node = self.graph.outputs[0].node
            assert node is not None
            layer._inbound_nodes.remove(node)
            self._reset_chain(node.inputs[0])
        return layer

    def _top(self) -> KerasTensor:
        return self._layers[0].output if self.graph is None else self.graph.outputs[0]

    def _set_chain(self, top: Any) -> None:
        if not isinstance(top, KerasTensor):
            raise ValueError(f"a layer of Sequential model {self.name!r} must have one output, got {top!r}")
        self._set_graph(self._layers[0].output, top)

    def _reset_chain(self, top: KerasTensor) -> None:
        if len(self._layers) > 1:
            self._set_chain(top)
        else:
            self.graph, self.built = None, False

    def _as_layer(self, layer: Any) -> Layer:
        """``layer``, checked; of an input tensor the layer it stands for."""
        if isinstance(layer, KerasTensor) and layer.node is not None and isinstance(layer.node.layer, InputLayer):
            layer = layer.node.layer
        if not isinstance(layer, Layer):
            hint = f": {layer.__name__} is a class, write {layer.__name__}(...)" if isinstance(layer, type) else ""
            raise ValueError(
                f"Only instances of `Layer` can be added to a Sequential model. Received: {layer!r} (of type {type(layer)}){hint}"
            )
        if any(layer.name == other.name for other in self._layers):
            raise ValueError(
                f"All layers added to a Sequential model should have unique names. Name {layer.name!r} is already the name of a "
                "layer in this model: give the new layer another name="
            )
        return layer

    @property
    def layers(self) -> list[Layer]:
        """The layers from the bottom, without the `InputLayer`."""
        return [layer for layer in self.__dict__.get("_layers", []) if not isinstance(layer, InputLayer)]

    # -- building --------------------------------------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Make the weights for inputs of ``input_shape``, the batch (None) first.

        Parameters
        ----------
        input_shape : sequence
            Such as ``(None, 3)``; not needed once the model knows its input.

        Raises
        ------
        ValueError
            If there are no layers, the shape is unknown, or the model has another one already.
        """
        if not self.layers:
            raise ValueError(f"Sequential model {self.name!r} cannot be built because it has no layers. Call `model.add(layer)`.")
        if isinstance(self._layers[0], InputLayer):
            known = self._layers[0].batch_shape
            if input_shape is not None and tuple(input_shape)[1:] != known[1:]:
                raise ValueError(
                    f"Sequential model {self.name!r} has already been configured to use input shape {known}. You cannot build it "
                    f"with input_shape {tuple(input_shape)}"
                )
            return
        if input_shape is None:
            raise ValueError(f"Sequential model {self.name!r} does not know its input: write build((None, features))")
        source = InputLayer(batch_shape=input_shape)
        x = source.output
        for layer in self._layers:
            x = layer(x)
        self._layers.insert(0, source)
        self._set_chain(x)

    # -- configuration ---------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The layers' configurations, without the weights."""
        layers = [registry.serialize(layer) for layer in self._layers]
        return {"name": self.name, "trainable": self.trainable, "layers": layers}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """A model made from what `get_config` returned; its weights are new."""
        if "layers" not in config:
            raise ValueError(f"the configuration of a Sequential has its layers under 'layers'; got the keys {list(config)}")
        layers = [registry.deserialize(layer, custom_objects) for layer in config["layers"]]
        return cls(layers, config.get("trainable", True), config.get("name"))


def _own_input_shape(layer: Layer) -> Shape | None:
    """The input's shape that a first layer brings along: from ``input_shape=``, or as a model that has an input."""
    if isinstance(layer, Model) and layer.graph is not None and len(layer.inputs) == 1:
        return layer.input_shape
    return layer._input_shape_arg
