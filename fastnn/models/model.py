"""Model: a graph of layers that can be trained."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from fastnn.coverage import NOT_YET
from fastnn.errors import hint, refuse_overrides
from fastnn.graph import Graph, common_dtype, given_tensors
from fastnn.keras_tensor import Shape, tensors_of
from fastnn.layers.base import Layer
from fastnn.layers.input import Input
from fastnn.layers.weights import count_params
from fastnn.models import configuration
from fastnn.models.structure import Structure
from fastnn.naming import unique_name
from fastnn.training.trainer import Trainer
from fastnn.variables import Variable

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor
    from fastnn.random import Draws


class Model(Trainer, Structure, Layer):
    """A model: a directed graph of layers from ``inputs`` to ``outputs``, which may branch; itself a layer.

    Layers that join branches (``Concatenate``, ``Add``, ...) are not covered yet.

    Parameters
    ----------
    inputs : KerasTensor, or a list, tuple or dict of them
        Made by `fastnn.Input`, or the output of any layer.
    outputs : KerasTensor, or a list, tuple or dict of them
        What calling layers on the inputs returned.
    name : str, optional
        By default ``functional``, ``functional_1``, ...
    trainable : bool
        False freezes every layer.
    **kwargs
        Those of `Layer`.

    A class of your own may instead define ``call(self, inputs)`` with layers made in its ``__init__``: the graph is what
    ``call`` does to a tensor. It is made once, for training and for use: an argument ``training`` may be handed on to layers, but
    no ``if`` may depend on it.

    Raises
    ------
    ValueError
        If an output does not follow from the inputs, two layers have one name, or weights have different dtypes.
    TypeError
        For a class that defines a step of training (``train_step``, ``compute_loss``, ...).

    Examples
    --------
    >>> from fastnn.layers import Dense
    >>> x = Input((3,))
    >>> model = Model(x, Dense(2)(Dense(4, activation="tanh")(x)))
    >>> model.output_shape, model.count_params()
    ((None, 2), 26)
    """

    _never_called: tuple[str, ...] = (
        *("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics"),
        *("make_train_function", "make_test_function", "make_predict_function"),
    )
    _never_called_advice = "Use compile, fit and callbacks, or a loop of your own around gradients() or train_on_batch()"

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, *, trainable: bool = True, **kwargs: Any
    ) -> None:
        if (inputs is None) != (outputs is None):
            raise ValueError("Model needs both inputs= and outputs=")
        if name is None and type(self) is Model:
            name = unique_name("functional")
        super().__init__(name=name, trainable=trainable, **kwargs)
        self._output_is_list = False
        if inputs is not None:
            refuse_overrides(type(self), ("call",), "Give Model either inputs= and outputs= or a call()")
            self._set_graph(inputs, outputs)
        elif type(self) is Model:
            raise ValueError("Model needs inputs= and outputs=; for a stack of layers write Sequential([...])")

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        graph = Graph(given_tensors("inputs", inputs), given_tensors("outputs", outputs))
        self.graph, self.dtype = graph, common_dtype(graph.layers, self.dtype)
        self._input_keys = tuple(inputs) if isinstance(inputs, dict) else None
        self._output_keys = tuple(outputs) if isinstance(outputs, dict) else None
        self._output_is_list = isinstance(outputs, list | tuple)
        self.built = True
        if not self._trainable:
            self.trainable = False

    # -- building and calling --------------------------------------------------------------------------------------------

    def build(self, input_shape: Any = None) -> None:
        """Make the weights for inputs of ``input_shape``, the batch (None) first; does nothing once built.

        Raises
        ------
        ValueError
            If a size other than the batch is not known.
        """
        if self.graph is None:
            x = Input(batch_shape=input_shape)
            takes_training = "training" in inspect.signature(self.call).parameters
            self._set_graph(x, self.call(x, **({"training": _Undecided()} if takes_training else {})))

    def call(self, inputs: Any) -> Any:
        """What the model does to its inputs; a class of your own may override it."""
        tensors = tensors_of(inputs)
        if tensors is None:
            return self._call_arrays(inputs)
        return configuration.replay(self._known_graph("inputs"), tensors, self._as_called)

    def _ensure_built(self, shapes: list[Shape]) -> None:
        if self.graph is None:
            self.build(shapes[0])
        expected = [tensor.shape for tensor in self.inputs]
        if len(shapes) != len(expected):
            raise ValueError(f"model {self.name!r} has {len(expected)} inputs {self.input_names}, got {len(shapes)}")
        for name, own, shape in zip(self.input_names, expected, shapes, strict=True):
            if own[1:] != shape[1:]:
                raise ValueError(f"input {name!r} of model {self.name!r} has shape {own}, got {shape}")

    def _output_shapes(self, shapes: list[Shape]) -> list[Shape]:
        return [tensor.shape for tensor in self.outputs]

    def _as_called(self, outputs: list[Any]) -> Any:
        """``outputs`` in the structure in which the model's were given."""
        if self._output_keys:
            return dict(zip(self._output_keys, outputs, strict=True))
        return list(outputs) if self._output_is_list or len(outputs) > 1 else outputs[0]

    def compute_output_shape(self, input_shape: Any = None) -> Any:
        """Shape of the output, the batch as None; a list of shapes when there are several."""
        return self.output_shape

    @property
    def _draws(self) -> list[Draws]:
        """What the layers draw at random in training; of a shared layer once."""
        return list(dict.fromkeys(draws for layer in self.layers for draws in layer._draws))

    def lower(self, b: Builder, *inputs: Tensor) -> list[Tensor]:
        """Emit the rows of every layer."""
        return self._known_graph("inputs").lower(b, inputs)

    # -- weights ---------------------------------------------------------------------------------------------------------

    @property
    def weights(self) -> list[Variable]:
        """All weights, layer by layer; of each its trainable ones first. Shared ones count once."""
        return list(dict.fromkeys(weight for layer in self.layers for weight in layer.weights))

    @property
    def trainable(self) -> bool:
        """Whether training changes the model; setting it sets every layer's."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        Layer.trainable.fset(self, value)  # type: ignore[attr-defined]
        for layer in self.layers:
            layer.trainable = value

    def count_params(self) -> int:
        """How many numbers the weights hold.

        Raises
        ------
        ValueError
            If the model is not built.
        """
        return super().count_params() if not self.built else count_params(self.weights)

    def __getstate__(self) -> dict[str, Any]:
        """Without what runs: programs are lowered anew."""
        return {**super().__getstate__(), "_runtime": None}

    # -- text and configuration ------------------------------------------------------------------------------------------

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a table of the layers, their output shapes and how many weights they have.

        Parameters
        ----------
        line_length : int, optional
            Width of the table; by default 88 (108 with the column "Connected to"), or what the terminal has.
        positions : sequence of float, optional
            Where each column ends, as a fraction of the width.
        print_fn : callable, optional
            Gets the whole text; by default it is printed.
        expand_nested : bool
            Whether the layers of models inside are listed too.
        show_trainable : bool
            Whether a column says which layers are trained.
        layer_range : (str, str), optional
            Names, or patterns, of the first and the last layer to list.

        Raises
        ------
        ValueError
            If the table would be too narrow, or no layer matches ``layer_range``.
        """
        from fastnn.models.summary import print_summary

        print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def get_config(self) -> dict[str, Any]:
        """Layers and how they are connected, without the weights.

        Raises
        ------
        ValueError
            If the model is not built.
        """
        if self.graph is None:
            raise ValueError(f"model {self.name!r} has no configuration before it is built: call it on data first")
        return {"name": self.name, "trainable": self.trainable, **configuration.of_graph(self)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        """A model made from what `get_config` returned; its weights are new."""
        inputs, outputs = configuration.to_tensors(config, custom_objects)
        return cls(inputs, outputs, name=config.get("name"), trainable=config.get("trainable", True))

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if name not in NOT_YET["Model"] or hasattr(type(self), name)]


class _Undecided:
    """The argument ``training`` of a ``call``, whose graph serves training and use."""

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "call() depends on its argument `training`, but a model is compiled once, for training and for use: write no `if`. "
            "Layers that differ between the two, such as Dropout, know by themselves"
        )

    def __eq__(self, other: object) -> bool:
        return bool(self)


class _NotYet:
    """Stands in `Model` for an attribute of Keras's that fastnn does not have: nobody finds it, and the error says so."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, model: Any, owner: type) -> NoReturn:
        text = f"{owner.__name__}.{self.name} is not covered by fastnn yet.{hint('Model', self.name, ())}"
        raise AttributeError(text, obj=owner)  # without name=, or Python would add a guess of its own


for _name in NOT_YET["Model"]:
    setattr(Model, _name, _NotYet(_name))
