"""A graph as plain data and back, and copies of models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from fastnn.keras_tensor import KerasTensor
from fastnn.layers import registry
from fastnn.layers.input import InputLayer

if TYPE_CHECKING:
    from fastnn.graph import Graph
    from fastnn.models.model import Model

Place = list[Any]
"""``[layer's name, number of its call, number of that call's output]``."""


def replay(graph: Graph, inputs: Sequence[KerasTensor], as_called: Callable[[list[Any]], Any]) -> Any:
    """Call the graph's layers on other tensors."""
    values = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        if node.inputs:
            arguments = [values[tensor] for tensor in node.inputs]
            out = node.layer(arguments[0] if len(arguments) == 1 else arguments)
            values.update(zip(node.outputs, _flat(out), strict=True))
    return as_called([values[tensor] for tensor in graph.outputs])


def of_graph(model: Model) -> dict[str, Any]:
    """``layers`` (class, configuration, name and, for each call, the places of its inputs), ``input_layers``, ``output_layers``."""
    graph = model.graph
    assert graph is not None
    calls: dict[Any, list[Any]] = {layer: [] for layer in graph.layers}
    places: dict[KerasTensor, Place] = {}
    for node in graph.nodes:
        places.update((tensor, [node.layer.name, len(calls[node.layer]), tensor.index]) for tensor in node.outputs)
        calls[node.layer].append([places[tensor] for tensor in node.inputs])
    layers = [
        {**registry.serialize(layer), "name": layer.name, "inbound_nodes": [call for call in calls[layer] if call]}
        for layer in graph.layers
    ]
    return {
        "layers": layers,
        "input_layers": _structured([places[tensor] for tensor in graph.inputs], model._input_keys),
        "output_layers": _structured([places[tensor] for tensor in graph.outputs], model._output_keys),
        "output_is_list": model._output_is_list,
    }


def _structured(places: list[Place], keys: tuple[str, ...] | None) -> Any:
    return dict(zip(keys, places, strict=True)) if keys else places


def to_tensors(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> tuple[Any, Any]:
    """The inputs and outputs of a model from what `of_graph` returned: calls are replayed as soon as their inputs are there."""
    layers = {entry["name"]: registry.deserialize(entry, custom_objects) for entry in config["layers"]}
    made: dict[tuple[Any, ...], KerasTensor] = {
        (name, 0, 0): layer.output for name, layer in layers.items() if isinstance(layer, InputLayer)
    }
    waiting = [(entry["name"], number, call) for entry in config["layers"] for number, call in enumerate(entry["inbound_nodes"])]
    while waiting:
        ready = next((one for one in waiting if all(tuple(place) in made for place in one[2])), None)
        if ready is None:
            raise ValueError(f"the layers {sorted({name for name, *_ in waiting})} of the configuration have no way from an input")
        waiting.remove(ready)
        name, number, call = ready
        arguments = [made[tuple(place)] for place in call]
        out = layers[name](arguments[0] if len(arguments) == 1 else arguments)
        made.update(((name, number, index), tensor) for index, tensor in enumerate(_flat(out)))
    outputs = _tensors_at(config["output_layers"], made)
    single = not config.get("output_is_list", True) and isinstance(outputs, list) and len(outputs) == 1
    return _tensors_at(config["input_layers"], made), outputs[0] if single else outputs


def _tensors_at(places: Any, made: dict[tuple[Any, ...], KerasTensor]) -> Any:
    if isinstance(places, dict):
        return {key: made[tuple(place)] for key, place in places.items()}
    return [made[tuple(place)] for place in places]


def _flat(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]


def clone_model(model: Model) -> Any:
    """A model like ``model`` with new weights, not compiled.

    Parameters
    ----------
    model : Model
        Sequential or functional.

    Returns
    -------
    Model
        Of the same class.

    Raises
    ------
    TypeError
        If ``model`` is none.
    """
    if not hasattr(type(model), "from_config"):
        raise TypeError(f"clone_model takes a model, got {model!r}")
    return type(model).from_config(model.get_config())
