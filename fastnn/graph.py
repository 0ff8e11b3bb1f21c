"""Graph: a model's nodes in the order in which they can be computed."""

from __future__ import annotations

import reprlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fastnn.keras_tensor import KerasTensor, Node, tensors_of

if TYPE_CHECKING:
    from fastnn.layers.base import Layer
    from fastnn.lowering.builder import Builder, Tensor


class Graph:
    """All nodes between ``inputs`` and ``outputs``.

    Parameters
    ----------
    inputs, outputs : sequence of KerasTensor
        What a model is fed and what it returns.

    Attributes
    ----------
    nodes : list of Node
        Every node after those it reads from; inputs that come from an `InputLayer` are nodes without inputs.
    layers : list of Layer
        Every layer once, those furthest from the outputs first, as in Keras.

    Raises
    ------
    ValueError
        If an output does not follow from the inputs, or two layers have one name.
    """

    def __init__(self, inputs: Sequence[KerasTensor], outputs: Sequence[KerasTensor]) -> None:
        self.inputs, self.outputs = list(inputs), list(outputs)
        self._given = {id(tensor) for tensor in self.inputs}
        first_seen: dict[Layer, int] = {}
        self.nodes = self._ordered_nodes(first_seen)
        self.layers = self._ordered_layers(first_seen)
        _check_names(self.layers)

    def _ordered_nodes(self, first_seen: dict[Layer, int]) -> list[Node]:
        """Depth first from the outputs, without recursion: a model may be thousands of layers deep."""
        ordered, done = list[Node](), set[Node]()
        stack = [self._visit(tensor) for tensor in reversed(self.outputs)]
        while stack:
            node, parents = stack[-1]
            if node is None or node in done:
                stack.pop()
                continue
            first_seen.setdefault(node.layer, len(first_seen))
            parent = next(parents, None)
            if parent is not None:
                stack.append(self._visit(parent))
                continue
            stack.pop()
            done.add(node)
            ordered.append(node)
        return ordered

    def _visit(self, tensor: KerasTensor) -> tuple[Node | None, Iterator[KerasTensor]]:
        """The node to compute ``tensor`` with, if it is to be computed, and what that reads."""
        node, given = tensor.node, id(tensor) in self._given
        if node is not None and (not given or not node.inputs):
            if not node.inputs and not given:
                raise ValueError(
                    f"the model's outputs need the input {tensor.name!r} (shape {tensor.shape}), which is not among its inputs "
                    f"{[x.name for x in self.inputs]}: add it to inputs="
                )
            return node, iter(node.inputs)
        if not given:
            raise ValueError(f"{tensor!r} does not come from any input or layer: make inputs with Input(shape)")
        return None, iter(())

    def _ordered_layers(self, first_seen: dict[Layer, int]) -> list[Layer]:
        """By the longest way to an output, longest first, then by the walk from the outputs; unused inputs are among the last."""
        node_depths, depths = dict[Node, int](), dict[Any, int]()
        members = set(self.nodes)
        for node in reversed(self.nodes):
            depth = max(node_depths.get(node, 0), depths.get(node.layer, 0))
            node_depths[node] = depths[node.layer] = depth
            for tensor in node.inputs:
                if tensor.node in members:
                    node_depths[tensor.node] = max(depth + 1, node_depths.get(tensor.node, 0))
        for tensor in self.inputs:
            if tensor.node is not None and not tensor.node.inputs and tensor.node not in members:
                depths[tensor.node.layer], first_seen[tensor.node.layer] = 0, -1
                self.nodes.insert(0, tensor.node)
        return sorted(depths, key=lambda layer: (-depths[layer], first_seen[layer]))

    def lower(self, b: Builder, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Emit the rows of every node for the given values of the inputs; returns those of the outputs."""
        values = {id(tensor): value for tensor, value in zip(self.inputs, inputs, strict=True)}
        for node in self.nodes:
            if node.inputs:
                results = node.layer.lower(b, *(values[id(x)] for x in node.inputs))
                results = results if isinstance(results, list | tuple) else [results]
                values.update((id(out), result) for out, result in zip(node.outputs, results, strict=True))
        return [values[id(out)] for out in self.outputs]

    def is_chain(self) -> bool:
        """Whether it is one layer after the other, none used twice."""
        if len(self.inputs) != 1 or len(self.outputs) != 1 or len(self.layers) != len(self.nodes):
            return False
        pairs = pairwise(self.nodes)
        return all(after.inputs == before.outputs and len(after.inputs) == 1 for before, after in pairs)

    # -- pickling: a flat list, because a chain of nodes that point to each other is as deep as the model -----------------

    def __getstate__(self) -> dict[str, Any]:
        tensors: dict[KerasTensor, int] = {}
        for tensor in (*self.inputs, *(x for node in self.nodes for x in (*node.inputs, *node.outputs)), *self.outputs):
            tensors.setdefault(tensor, len(tensors))
        nodes = [(node.layer, [tensors[x] for x in node.inputs], [tensors[x] for x in node.outputs]) for node in self.nodes]
        return {
            "tensors": [(tensor.shape, tensor.dtype, tensor.name) for tensor in tensors],
            "nodes": nodes,
            "inputs": [tensors[x] for x in self.inputs],
            "outputs": [tensors[x] for x in self.outputs],
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        tensors = [KerasTensor(*arguments) for arguments in state["tensors"]]
        for layer, inputs, outputs in state["nodes"]:
            if not inputs:
                for place, tensor in zip(outputs, layer._inbound_nodes[0].outputs, strict=True):
                    tensors[place] = tensor
                continue
            layer._inbound_nodes.append(Node(layer, [tensors[place] for place in inputs], [tensors[place] for place in outputs]))
        self.__init__(  # type: ignore[misc]
            [tensors[place] for place in state["inputs"]], [tensors[place] for place in state["outputs"]]
        )


def _check_names(layers: Sequence[Layer]) -> None:
    for name, count in Counter(layer.name for layer in layers).items():
        if count > 1:
            raise ValueError(
                f"The name {name!r} is used {count} times in the model: layer names must be unique. Give one of them another name="
            )


def given_tensors(what: str, value: Any) -> list[KerasTensor]:
    """The tensors that a model was given as its inputs or outputs, checked."""
    tensors = tensors_of(value)
    if tensors is None or not all(isinstance(tensor, KerasTensor) for tensor in tensors):
        raise ValueError(
            f"`{what}` of a Model must be what Input(shape) or a call of a layer returned, or a list or dict of such; "
            f"got {reprlib.repr(value)}"
        )
    return tensors


def common_dtype(layers: Sequence[Layer], default: str) -> str:
    """The dtype of the weights; without weights that of the layers."""
    owners = {weight.dtype: layer.name for layer in layers for weight in layer.weights}
    if len(owners) > 1:
        which = ", ".join(f"{name!r} has {dtype}" for dtype, name in owners.items())
        raise ValueError(f"all weights of a model must have one dtype, but {which}: give the layers the same dtype=")
    return next(iter(owners), default)


def origin_name(tensor: KerasTensor) -> str:
    """Name of the layer that made ``tensor``."""
    return tensor.node.layer.name if tensor.node is not None else tensor.name


def unique_names(names: list[str]) -> list[str]:
    """``names`` with a number added to those that came before."""
    return [name if name not in names[:place] else f"{name}_{names[:place].count(name)}" for place, name in enumerate(names)]
