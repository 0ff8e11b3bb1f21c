"""The passes behind ``predict`` and behind calling a model on arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from fastnn_kernels.cuda.arrays import DeviceArray, empty

from fastnn.callbacks.base import CallbackList
from fastnn.engine.session import Session
from fastnn.training.data import Samples
from fastnn.training.hooks import closing_bar, progress_logger
from fastnn.training.loop import Loop
from fastnn.training.runtime import Runtime

Slots = dict[str, Any]

GROUP = 8
"""Batches that run as one where nobody chose or watches their size: predictions do not depend on it."""


def empty_outputs(runtime: Runtime, count: int, slots: Slots | None = None) -> list[Any]:
    """Room for the outputs for ``count`` samples, on the GPU where all inputs in ``slots`` lie there."""
    there = slots and all(isinstance(array, DeviceArray) for array in slots.values())
    return [(empty if there else np.empty)((count, *shape), runtime.dtype) for shape in runtime.output_shapes]


def forward(session: Session, slots: Slots, outputs: list[Any], count: int) -> None:
    """Fill ``outputs`` for ``count`` samples in one go."""
    if count:
        session.set_inputs(**slots, **{f"out{number}": output for number, output in enumerate(outputs)})
        session.start(count)
        session.run()


def predict(session: Session, slots: Slots, outputs: list[Any], count: int, group: int, callbacks: CallbackList) -> None:
    """Fill ``outputs`` for ``count`` samples, with hooks and a bar; one step of ``session`` is shown as ``group`` steps."""
    bar = progress_logger(callbacks)
    begin = end = None
    if callbacks.needs_batches("predict"):
        begin, end = callbacks.on_predict_batch_begin, _batch_end(callbacks, outputs, session.batch)
    tick = None if bar is None else lambda step: bar.tick(step * group, dict)
    with closing_bar(bar):
        callbacks.on_predict_begin()
        if count:
            samples = Samples(count, slots | {f"out{number}": output for number, output in enumerate(outputs)})
            Loop(session, samples).epoch(begin, end, tick)
        callbacks.on_predict_end()


def _batch_end(callbacks: CallbackList, outputs: list[Any], rows: int) -> Callable[[int], bool]:
    def end(step: int) -> bool:
        parts = [output[step * rows : (step + 1) * rows] for output in outputs]
        callbacks.on_predict_batch_end(step, {"outputs": parts[0] if len(parts) == 1 else parts})
        return False

    return end
