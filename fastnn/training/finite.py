"""A loss that is no longer finite: who went first, and what would do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fastnn.engine import select
from fastnn.engine.session import Session
from fastnn.lowering.programs import lower
from fastnn.training.arrays import rows_on_host
from fastnn.training.data import Samples
from fastnn.training.runtime import Runtime, sample_shape

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fastnn.keras_tensor import KerasTensor
    from fastnn.layers import Layer

ADVICE = (
    "Lower the learning rate (now {rate:g}) or scale the features (subtract their mean, divide by their standard deviation). "
    "Training goes on, as in Keras."
)


def describe(runtime: Runtime, samples: Samples, rows: NDArray[np.int64], where: str, rate: float) -> str:
    """The text of the warning: ``where`` says in which step, ``rows`` are the numbers of its samples."""
    return f"The loss is not finite any more in {where}: {_culprit(runtime, samples, rows)}. {ADVICE.format(rate=rate)}"


def _culprit(runtime: Runtime, samples: Samples, rows: NDArray[np.int64]) -> str:
    layers = list(dict.fromkeys(node.layer for node in runtime.graph.nodes))
    for layer in layers:
        for weight in layer.weights:
            if not np.isfinite(weight.array).all():
                return f"the weights of layer {layer.name!r} ({weight.path}) are not, since the step before"
    for name, output in _outputs(runtime, samples, rows):
        if not np.isfinite(output).all():
            return f"the output of layer {name!r} is not, and it is the first one"
    return "every layer's weights and outputs are finite; targets or sample weights are missing or too large, or the outputs are"


def _outputs(runtime: Runtime, samples: Samples, rows: NDArray[np.int64]) -> Iterator[tuple[str, NDArray]]:
    """Each layer's output for the samples ``rows``, on the reference engine: nothing has to be compiled for it."""
    from fastnn.graph import Graph

    found: list[tuple[Layer, int]] = []
    tensors: list[KerasTensor] = []
    for node in runtime.graph.nodes:
        if node.inputs:
            found += [(node.layer, len(tensors) + place) for place in range(len(node.outputs))]
            tensors += node.outputs
    program = lower(Graph(runtime.graph.inputs, tensors), "predict", dtype=runtime.dtype, variables=runtime.variables)
    session = Session(select.get("reference"), program, runtime.variables, len(rows))
    outputs = {f"out{place}": np.empty((len(rows), *sample_shape(tensor)), runtime.dtype) for place, tensor in enumerate(tensors)}
    inputs = {name: rows_on_host(array, rows) for name, array in samples.slots.items() if name.startswith("x")}
    session.set_inputs(**inputs, **outputs)
    session.start(len(rows))
    session.run()
    for layer, place in found:
        yield layer.name, outputs[f"out{place}"]
