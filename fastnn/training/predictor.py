"""Predictor: a model prepared for batches of one size."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from fastnn_kernels.cuda.arrays import DeviceArray
from numpy.typing import NDArray

from fastnn.engine.session import Session
from fastnn.training import prepare
from fastnn.training.predict import empty_outputs, forward
from fastnn.training.runtime import Runtime

if TYPE_CHECKING:
    from fastnn.training.runner import Runner


@dataclass(slots=True)
class Workspace:
    """Where one call works: a session bound to arrays of its own."""

    session: Session
    inputs: list[NDArray[Any]]
    outputs: list[NDArray[Any]]


class Predictor:
    """The outputs of a model for batches of one size, without the cost of `predict`; made by ``model.predictor(batch_size)``.

    It reads the weights where the model keeps them, so training and ``set_weights`` show in it; layers added to the model later
    do not. Threads may share a predictor: they run at the same time, each in a workspace of its own, and get the same bits. A copy,
    pickled or deep, prepares the copy of the model.

    Attributes
    ----------
    batch_size : int
        Samples of every call.
    """

    def __init__(self, model: Runner, runtime: Runtime, batch_size: int) -> None:
        self.batch_size = batch_size
        self._model, self._runtime = model, runtime
        shapes = runtime.input_shapes
        self._shape = (batch_size, *shapes[0]) if len(shapes) == 1 else None
        self._dtype = np.dtype(runtime.dtype)
        self._as_called: Callable[[list[Any]], Any] = model._as_called
        self._idle = [self._new_workspace()]

    def _new_workspace(self) -> Workspace:
        runtime, rows = self._runtime, self.batch_size
        inputs = {f"x{number}": np.zeros((rows, *shape), runtime.dtype) for number, shape in enumerate(runtime.input_shapes)}
        outputs, session = empty_outputs(runtime, rows), runtime.new_session("predict", rows)
        forward(session, inputs, outputs, rows)
        return Workspace(session, list(inputs.values()), outputs)

    def __call__(self, x: Any) -> Any:
        """The outputs for ``x``.

        Parameters
        ----------
        x : ndarray (batch_size, ...)
            In the model's dtype it is taken as it is; whatever else ``predict`` takes is converted first.

        Returns
        -------
        ndarray, or a list or dict of them
            New arrays, in the structure that ``predict`` returns.

        Raises
        ------
        ValueError
            When ``x`` does not fit the model, or does not have ``batch_size`` samples.
        """
        ready = type(x) is np.ndarray and x.shape == self._shape and x.dtype == self._dtype
        arrays = () if ready else self._converted(x)
        try:
            space = self._idle.pop()  # by one thread alone
        except IndexError:
            space = self._new_workspace()
        if ready:
            space.inputs[0][...] = x
        else:
            for place, array in zip(space.inputs, arrays, strict=True):
                place[...] = array
        space.session.repeat()
        outputs = [output.copy() for output in space.outputs]
        self._idle.append(space)
        return self._as_called(outputs)

    def _converted(self, x: Any) -> Iterable[NDArray[Any]]:
        """The inputs in ``x``, checked as by ``predict``."""
        _, arrays, names = prepare.raw_inputs(self._model, x)
        slots = prepare.fit_inputs(self._runtime, arrays, names)
        for array, name in zip(arrays, names, strict=True):
            if isinstance(array, DeviceArray):
                raise ValueError(f"{name} lies on the GPU, a predictor takes arrays of the host; predict takes those of the GPU")
            if len(array) != self.batch_size:
                raise ValueError(
                    f"{name} has {len(array)} samples, this predictor takes {self.batch_size}; for other numbers of samples make "
                    f"another one, model.predictor({len(array)}), or call predict"
                )
        return slots.values()

    def __reduce__(self) -> tuple[Callable[..., Predictor], tuple[Runner, int]]:
        return _again, (self._model, self.batch_size)


def _again(model: Any, batch_size: int) -> Predictor:
    """What a copy of a `Predictor` is made by."""
    return model.predictor(batch_size)
