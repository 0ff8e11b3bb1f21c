"""What a model consists of: its layers, inputs and outputs, by name and by shape."""

from __future__ import annotations

from typing import Any

from fastnn.errors import near_matches
from fastnn.graph import Graph, origin_name, unique_names
from fastnn.keras_tensor import KerasTensor
from fastnn.layers.base import Layer


class Structure:
    """What `Model` tells of its graph; a base of it."""

    name: str
    graph: Graph | None = None
    """The nodes in topological order; None while the input's shape is not known."""

    _input_keys: tuple[str, ...] | None = None
    _output_keys: tuple[str, ...] | None = None

    @property
    def layers(self) -> list[Layer]:
        """The layers, those furthest from the outputs first."""
        return [] if self.graph is None else list(self.graph.layers)

    @property
    def inputs(self) -> list[KerasTensor]:
        """What the model is fed."""
        return list(self._known_graph("inputs").inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """What the model returns."""
        return list(self._known_graph("outputs").outputs)

    @property
    def input(self) -> Any:
        """The model's own input, or a list of them."""
        return self.inputs[0] if len(self.inputs) == 1 else self.inputs

    @property
    def output(self) -> Any:
        """The model's own output, or a list of them."""
        return self.outputs[0] if len(self.outputs) == 1 else self.outputs

    @property
    def input_shape(self) -> Any:
        """Shape of the input, the batch as None; a list of shapes when there are several."""
        shapes = [tensor.shape for tensor in self.inputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def output_shape(self) -> Any:
        """Shape of the output, the batch as None; a list of shapes when there are several."""
        shapes = [tensor.shape for tensor in self.outputs]
        return shapes[0] if len(shapes) == 1 else shapes

    @property
    def input_names(self) -> list[str]:
        """A name for each input: the key, if they were given as a dict, else the input layer's."""
        return list(self._input_keys) if self._input_keys else unique_names([origin_name(tensor) for tensor in self.inputs])

    @property
    def output_names(self) -> list[str]:
        """A name for each output: the key, if they were given as a dict, else the layer's that made it."""
        return list(self._output_keys) if self._output_keys else unique_names([origin_name(tensor) for tensor in self.outputs])

    def _known_graph(self, what: str) -> Graph:
        if self.graph is None:
            raise AttributeError(
                f"{type(self).__name__} model {self.name!r} has no defined {what} yet: begin with Input(shape), call "
                "build((None, features)), or fit it"
            )
        return self.graph

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """One of `layers`.

        Parameters
        ----------
        name : str, optional
            The layer's name.
        index : int, optional
            Its place in `layers`.

        Raises
        ------
        ValueError
            If both or neither are given, or there is no such layer.
        """
        if (name is None) == (index is None):
            raise ValueError(f"get_layer needs either a name or an index, got name={name!r}, index={index!r}")
        layers = self.layers
        if index is not None:
            if not -len(layers) <= index < len(layers):
                raise ValueError(f"Was asked to retrieve layer at index {index} but model only has {len(layers)} layers.")
            return layers[index]
        for layer in layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in layers]
        close = near_matches(str(name), names, count=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"No such layer: {name}.{meant} Existing layers are: {names}.")
