"""From a model and what a user passes to a method: the model's runtime, its resolved heads, and checked samples."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
from fastnn_kernels.cuda.arrays import DeviceArray
from fastnn_kernels.cuda.foreign import ON_HOST
from numpy.typing import NDArray

from fastnn import config
from fastnn.training.arrays import as_array, cast, check_finite, column_names, in_place, on_host
from fastnn.training.data import Samples, check_lengths, input_array, separate, target_slots
from fastnn.training.runtime import Runtime
from fastnn.training.spec import Resolved
from fastnn.training.weights import class_weights, sample_weights

if TYPE_CHECKING:
    from fastnn.training.runner import Runner

DEFAULT_BATCH = 32


def integer(name: str, value: Any, least: int) -> int:
    """``value`` as an int of at least ``least``; ValueError otherwise."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer of at least {least}, got {value!r}")
    return number


def batch_size_of(value: Any, name: str = "batch_size", steps: int | None = None, count: int = 0) -> int:
    """The batch size; for None what one pass over ``count`` samples in ``steps`` takes, as in Keras, or 32.

    One that holds all samples is cut to their `capacity`: the steps are the same, the memory is not.
    """
    if value is None:
        return -(-count // steps) if steps and count else DEFAULT_BATCH
    return min(integer(name, value, 1), capacity(count))


def flag(name: str, value: Any) -> bool:
    """``value`` as a bool; 0 and 1 count."""
    if not isinstance(value, bool | int | np.bool_) or value not in (0, 1):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def verbosity(value: Any) -> int:
    """0, 1 or 2; 'auto' is 1."""
    if value == "auto":
        return 1
    if value not in (0, 1, 2):
        raise ValueError(f"verbose must be 0 (silent), 1 (a bar), 2 (a line an epoch) or 'auto', got {value!r}")
    return int(value)


def require_compiled(model: Runner) -> None:
    """Raise ValueError unless ``compile`` has been called."""
    if not model.compiled:
        raise ValueError("You must call `compile()` before using the model, such as model.compile('adam', 'mse').")


def runtime_of(model: Runner) -> Runtime:
    """The model's runtime: a new one after its graph, its device, what is trained or the precision of products has changed."""
    runtime = model._runtime
    graph = model.graph
    assert graph is not None
    if runtime is None or not runtime.fits(graph):
        runtime = Runtime(model._device or config.device(), graph, model.weights, model.dtype)
        model._runtime, model._resolved = runtime, None
    return runtime


def check_places(runtime: Runtime, named: Mapping[str, Any]) -> None:
    """Refuse arrays that lie on the GPU, by the names of their arguments, where the model runs elsewhere."""
    for name, array in named.items():
        if isinstance(array, DeviceArray) and not runtime.engine.takes_device_arrays:
            raise ValueError(
                f"{name} lies on the GPU, but the model runs on device {runtime.device!r}; compile(..., device='cuda') uses it "
                f"where it lies. {ON_HOST.format(name=name)}"
            )


def raw_inputs(model: Runner, x: Any) -> tuple[list[Any], list[Any], list[str]]:
    """The inputs as the user gave them, as arrays of numbers, and their names for errors."""
    if type(x) is np.ndarray and (model.graph is None or len(model.graph.inputs) == 1):  # names need not be looked up
        return [x], [as_array(x, "x")], ["x"]
    raw, names = separate(x, model.input_names if model.built else ["x"], "x")
    return raw, [as_array(value, name) for value, name in zip(raw, names, strict=True)], names


def build_for(model: Runner, arrays: Sequence[Any]) -> None:
    """Build a model that has not seen data yet."""
    if not model.built:
        shape = arrays[0].shape[1:] or (1,)
        model.build((None, *shape))


def fit_inputs(runtime: Runtime, arrays: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    """The input slots ``x0``, ``x1``, ..."""
    slots = {}
    check_places(runtime, dict(zip(names, arrays, strict=True)))
    for number, (array, shape, name) in enumerate(zip(arrays, runtime.input_shapes, names, strict=True)):
        slots[f"x{number}"] = cast(input_array(in_place(array, runtime.dtype, name), shape, name), runtime.dtype)
    return slots


def prepare(
    model: Runner,
    x: Any,
    y: Any,
    sample_weight: Any = None,
    class_weight: Any = None,
    *,
    finite: bool = True,
    prefix: str = "",
) -> tuple[Runtime, Resolved, Samples]:
    """Everything a run needs, checked before anything of the model changes but that it is built.

    Raises
    ------
    ValueError
        Naming the argument, what came and what would do.
    """
    raw_x, arrays_x, names_x = raw_inputs(model, x)
    names_x = [prefix + name for name in names_x]
    outputs = model.output_names if model.built else ["y"]
    raw_y, names_y = separate(y, outputs, "y") if y is not None or len(outputs) == 1 else ([None] * len(outputs), outputs)
    arrays_y = [as_array(value, name) for value, name in zip(raw_y, names_y, strict=True)]
    names_y = [prefix + name for name in names_y]
    count = check_lengths(dict(zip([*names_x, *names_y], [*arrays_x, *arrays_y], strict=True)))
    build_for(model, arrays_x)
    runtime = runtime_of(model)
    slots = fit_inputs(runtime, arrays_x, names_x)
    check_places(runtime, dict(zip(names_y, arrays_y, strict=True)))
    resolved = model._resolved
    if resolved is None:
        shapes = [array.shape[1:] for array in arrays_y]
        resolved = model._compiled.resolve(model.output_names, runtime.output_shapes, shapes)
    for number, (array, target) in enumerate(zip(arrays_y, resolved.targets(names_y), strict=True)):
        slots |= target_slots(array, target, number, runtime.dtype, finite)
    if finite:
        for number, (value, array, name) in enumerate(zip(raw_x, arrays_x, names_x, strict=True)):
            check_finite(slots[f"x{number}"], name, column_names(value), array)
    slots |= _weight_slots(runtime, model.output_names, sample_weight, class_weight, arrays_y, count)
    model._resolved = resolved
    return runtime, resolved, Samples(count, slots)


def _weight_slots(
    runtime: Runtime, outputs: Sequence[str], sample_weight: Any, class_weight: Any, y: Sequence[Any], count: int
) -> dict[str, NDArray[Any]]:
    """The slots ``w0``, ``w1``, ...; none without weights."""
    if class_weight is not None:
        if sample_weight is not None:
            raise ValueError("You cannot `class_weight` and `sample_weight` at the same time.")
        if len(outputs) > 1:
            raise ValueError(f"class_weight is for models with one output, this one has {list(outputs)}; use sample_weight")
        sample_weight = class_weights(class_weight, on_host(y[0]), runtime.dtype)
    if sample_weight is None:
        return {}
    spread = len(outputs) > 1 and isinstance(sample_weight, list | tuple | Mapping)
    values = separate(sample_weight, outputs, "sample_weight")[0] if spread else [sample_weight] * len(outputs)
    arrays = [as_array(value, "sample_weight") for value in values]
    for array in arrays:
        check_places(runtime, {"sample_weight": array})
    return {
        f"w{number}": sample_weights(on_host(array), count, shape[:-1], runtime.dtype)
        for number, (array, shape) in enumerate(zip(arrays, runtime.output_shapes, strict=True))
    }


def split(samples: Samples, validation_split: float, *, weighted: bool) -> tuple[Samples, Samples]:
    """The first samples for training, the last ones for validation: ``floor(n * (1 - validation_split))`` of them come first.

    ``weighted``: whether the weights are the user's own; those of classes are for training alone.
    """
    if not isinstance(validation_split, Real) or not 0 < validation_split < 1:
        raise ValueError(f"validation_split must be between 0 and 1, got {validation_split!r}")
    at = math.floor(samples.count * (1 - validation_split))
    if at in (0, samples.count):
        raise ValueError(
            f"Training data contains {samples.count} samples, which is not sufficient to split it into a validation and training "
            f"set as specified by `validation_split={validation_split}`. Either provide more data, or a different value for the "
            "`validation_split` argument."
        )
    held_back = samples.part(at, samples.count)
    return samples.part(0, at), held_back if weighted else held_back.unweighted()


def validation_samples(model: Runner, data: Any, finite: bool) -> Samples:
    """The samples of ``validation_data``: (x, y) or (x, y, sample_weight)."""
    if not isinstance(data, list | tuple) or len(data) not in (2, 3):
        came = f"{len(data)} of them" if isinstance(data, list | tuple) else f"a {type(data).__name__}"
        raise ValueError(f"validation_data must be (x, y) or (x, y, sample_weight), got {came}")
    return prepare(model, *data, finite=finite, prefix="validation_data's ")[2]


def held_back(
    model: Runner, samples: Samples, validation_data: Any, validation_split: float, weighted: bool, finite: bool
) -> tuple[Samples, Samples | None]:
    """The samples for training and those for validation, where there are any: given ones come before a part of the first."""
    if validation_data is not None:
        return samples, validation_samples(model, validation_data, finite)
    return split(samples, validation_split, weighted=weighted) if validation_split else (samples, None)


def validation_epochs(frequency: Any) -> Callable[[int], bool]:
    """Whether to validate after an epoch, counted from 0."""
    if isinstance(frequency, Iterable):
        chosen = {integer("validation_freq", epoch, 1) for epoch in frequency}
        return lambda epoch: epoch + 1 in chosen
    every = integer("validation_freq", frequency, 1)
    return lambda epoch: (epoch + 1) % every == 0


def capacity(count: int) -> int:
    """The batch size of a session for single batches of about ``count`` samples: a power of two, so that few sessions are made."""
    return max(DEFAULT_BATCH, 1 << max(count - 1, 0).bit_length())
