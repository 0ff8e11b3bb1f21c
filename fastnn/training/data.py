"""Inputs and targets, checked against the model and cast to its dtype: what a session's input slots point at."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from fastnn_kernels.cuda import contents
from fastnn_kernels.cuda.arrays import DeviceArray
from numpy.typing import NDArray

from fastnn.training.arrays import NAME_LABELS, cast, check_finite, in_place, on_host


@dataclass
class Samples:
    """Arrays by input slot (``x0``, ``y0_labels``, ``y0_dense``, ``w0``, ...), all of length ``count``."""

    count: int
    slots: dict[str, Any] = field(default_factory=dict)

    @property
    def weighted(self) -> bool:
        """Whether the samples have weights."""
        return "w0" in self.slots

    def part(self, start: int, stop: int) -> Samples:
        """The samples from ``start`` to ``stop``, as views."""
        return Samples(stop - start, {name: array[start:stop] for name, array in self.slots.items()})

    def unweighted(self) -> Samples:
        """The samples without their weights."""
        return Samples(self.count, {name: array for name, array in self.slots.items() if not name.startswith("w")})


@dataclass(frozen=True)
class Target:
    """What an output's loss and metrics need of y.

    ``shape`` is one sample's output; ``labels`` and ``dense`` say which loss or metric takes class numbers and which one values of
    the output's own shape, such as ``"loss 'mean_squared_error'"``, None where there is none.
    """

    name: str
    shape: tuple[int, ...]
    labels: str | None
    dense: str | None
    ignore_class: int | None = None
    probabilities: bool = False

    @property
    def classes(self) -> int:
        """C, the length of the output's last axis."""
        return self.shape[-1]


def separate(value: Any, names: Sequence[str], argument: str) -> tuple[list[Any], list[str]]:
    """One array per input or output, out of a single one, a list or a dict; and how to call each in an error."""
    if isinstance(value, Mapping) and not hasattr(value, "to_numpy"):
        if set(value) != set(names):
            raise ValueError(f"{argument} is a dict with the keys {list(value)}; the model's are {list(names)}")
        return [value[name] for name in names], [f"{argument}[{name!r}]" for name in names]
    if len(names) == 1:
        single = isinstance(value, list | tuple) and len(value) == 1 and getattr(value[0], "ndim", 0) > 0
        return [value[0] if single else value], [argument]
    if not isinstance(value, list | tuple) or len(value) != len(names):
        came = f"a list of {len(value)}" if isinstance(value, list | tuple) else f"one {type(value).__name__}"
        raise ValueError(f"{argument} must be a list of {len(names)} arrays or a dict, for {list(names)}; got {came}")
    return list(value), [f"{argument}[{place}]" for place in range(len(names))]


def check_lengths(named: Mapping[str, Any]) -> int:
    """The number of samples that all of ``named`` have."""
    sizes = {name: len(array) for name, array in named.items()}
    if len(set(sizes.values())) > 1:
        shown = ", ".join(f"{name!r} sizes: {size}" for name, size in sizes.items())
        raise ValueError(
            f"Data cardinality is ambiguous. Make sure all arrays contain the same number of samples: {shown}. "
            "The first axis counts the samples"
        )
    count = next(iter(sizes.values()))
    if count == 0:
        raise ValueError(f"{next(iter(sizes))} is empty: it has no samples")
    return count


def input_array(array: Any, shape: Sequence[int], name: str) -> Any:
    """``array`` as (N, *shape); one axis more or less of length 1 at the end is fine, anything else an error."""
    shape = tuple(shape)
    if array.shape[1:] == shape:
        return array
    if (*array.shape[1:], 1) == shape or array.shape[1:] == (*shape, 1):
        return array.reshape(len(array), *shape)
    raise ValueError(_input_error(array, shape, name))


def _input_error(array: Any, shape: tuple[int, ...], name: str) -> str:
    expected = f"(N, {', '.join(map(str, shape))})"
    text = f"{name} has shape {array.shape}, the model takes {expected}"
    if array.ndim == len(shape) + 1:
        text += f": {array.shape[-1]} features where it expects {shape[-1]}"
    if array.shape == shape:
        return f"{text}. For a single sample write {name}[np.newaxis]"
    if array.ndim == 2 and array.shape[:1] == shape:
        return f"{text}. Samples are rows: write {name}.T"
    if math.prod(array.shape[1:]) == math.prod(shape):
        return f"{text}. Write {name}.reshape({', '.join(map(str, (-1, *shape)))}), or let a Flatten layer do such a thing"
    return f"{text}. Change the columns of {name}, or the input shape of the first layer"


def target_slots(array: Any, target: Target, number: int, dtype: str, finite: bool) -> dict[str, Any]:
    """The slots ``y{number}_labels`` and ``y{number}_dense``, as far as ``target`` needs them."""
    slots = {}
    if target.labels:
        slots[f"y{number}_labels"] = labels(on_host(array), target)
    if target.dense:
        slots[f"y{number}_dense"] = dense(array, target, dtype)
        if finite:
            check_finite(slots[f"y{number}_dense"], target.name)
    return slots


def labels(array: NDArray[Any], target: Target) -> NDArray[np.int32]:
    """Class numbers from 0 to C-1 as int32 (N, *shape[:-1])."""
    rows = target.shape[:-1]
    if array.shape[1:] == (*rows, 1):
        array = array[..., 0]
    if array.shape[1:] != rows:
        raise ValueError(_labels_shape_error(array, target))
    _check_whole(array, target)
    counted = array if target.ignore_class is None else array[array != target.ignore_class]
    if counted.size:
        _check_range(int(counted.min()), int(counted.max()), target)
    return np.ascontiguousarray(array, dtype=np.int32)


_FLATTEN = (
    "Dense acts on the last axis of each sample: for one prediction a sample put a Flatten() layer after the input, or "
    "reshape x to (N, features)"
)


def _lacks_flatten(array: NDArray[Any], target: Target) -> bool:
    """Whether y has one label or row a sample where the output still has several axes."""
    return len(target.shape) > 1 and array.shape[1:] in ((), (1,), target.shape[-1:])


def _labels_shape_error(array: NDArray[Any], target: Target) -> str:
    name, count = target.name, target.classes
    text = f"{name} has shape {array.shape}, {target.labels} takes one class number per row, shape {_batch(target.shape[:-1])}"
    if _lacks_flatten(array, target):
        return f"{text}. {_FLATTEN}"
    if array.shape[1:] == target.shape:
        return (
            f"{text}. {name} looks like one-hot rows: write loss='categorical_crossentropy' (metrics likewise), "
            f"or {name} = np.argmax({name}, axis=-1)"
        )
    return f"{text}, with numbers from 0 to {count - 1}"


def _check_whole(array: NDArray[Any], target: Target) -> None:
    if array.dtype.kind != "f":
        return
    with np.errstate(invalid="ignore"):
        whole = array == np.floor(array)
    whole &= np.isfinite(array)
    if not whole.all():
        place = tuple(map(int, np.argwhere(~whole)[0]))
        raise ValueError(
            f"{target.name} holds {array[place]} in row {place[0]}; {target.labels} takes whole class numbers from 0 to "
            f"{target.classes - 1}. {NAME_LABELS.format(name=target.name)}; for a number to be predicted, rather than a class, "
            "write loss='mse' and a last layer Dense(1)"
        )


MOST_CLASSES = 1 << 20
"""A number of classes above it is a mistake."""


def _check_range(low: int, high: int, target: Target) -> None:
    count, name = target.classes, target.name
    if low >= 0 and high < count:
        return
    text = f"{name} holds class numbers from {low} to {high}; the model has {count} outputs, so they must be from 0 to {count - 1}"
    if count == 1:
        advice = "For two classes and one output write loss='binary_crossentropy' with a sigmoid"
    elif low == 1 and high == count:
        advice = f"Classes are counted from 0: write {name} - 1"
    elif low < 0:
        advice = NAME_LABELS.format(name=name)
    else:
        layer = f"Make the last layer Dense({high + 1}), or number" if high < MOST_CLASSES else "Number"
        advice = f"{layer} the classes of all data, for training and for use, in one go from 0 without gaps"
    raise ValueError(f"{text}. {advice}")


def dense(array: Any, target: Target, dtype: str) -> Any:
    """Values of the output's own shape (N, *shape), cast to ``dtype``."""
    array = in_place(array, dtype, target.name)
    if (*array.shape[1:], 1) == target.shape or array.shape[1:] == (*target.shape, 1):
        array = array.reshape(len(array), *target.shape)
    if array.shape[1:] != target.shape:
        raise ValueError(_dense_shape_error(array, target))
    if target.probabilities and array.size:
        _check_probabilities(array, target)
    return cast(array, dtype)


def _batch(shape: Sequence[int]) -> str:
    return f"({', '.join(['N', *map(str, shape)])}{',' if not shape else ''})"


def _dense_shape_error(array: Any, target: Target) -> str:
    name, count = target.name, target.classes
    text = f"{name} has shape {array.shape}, the model's output has shape {_batch(target.shape)}"
    if _lacks_flatten(array, target):
        return f"{text}. {_FLATTEN}"
    is_flat = array.shape[1:] in (target.shape[:-1], (*target.shape[:-1], 1))
    if is_flat and target.probabilities:
        return (
            f"{text}, and {target.dense} takes one number per output. For class numbers write "
            f"loss='sparse_categorical_crossentropy', or {name} = fastnn.utils.to_categorical({name}, {count})"
        )
    if len(target.shape) == 1 and array.ndim <= 2:
        width = 1 if array.ndim == 1 else array.shape[1]
        advice = f"Make the last layer Dense({width})"
        if width > count:
            advice += f", or give {name} {count} column{'s' * (count > 1)}"
        return f"{text}: {width} value{'s' * (width > 1)} a sample against {count} output{'s' * (count > 1)}. {advice}"
    return f"{text}; they must agree"


def _check_probabilities(array: Any, target: Target) -> None:
    if isinstance(array, DeviceArray):
        if contents.all_fractions(array):
            return
        array = array.copy_to_host()  # to say what it holds
    low, high = array.min(), array.max()
    if not (low < 0 or high > 1):  # NaN is reported elsewhere, or let pass
        return
    text = f"{target.name} holds values from {low} to {high}; {target.dense} takes 0, 1 or probabilities between them"
    if target.classes == 1 and (low, high) == (1, 2):
        advice = f"Classes are counted from 0: write {target.name} - 1"
    elif (low, high) == (-1, 1):
        advice = f"Write ({target.name} + 1) / 2"
    elif target.classes == 1:
        advice = (
            "For more than two classes write a last layer Dense(C, activation='softmax') and "
            "loss='sparse_categorical_crossentropy'; for a number to be predicted loss='mse'"
        )
    else:
        advice = "Divide by the largest value, or write loss='mse'"
    raise ValueError(f"{text}. {advice}")
