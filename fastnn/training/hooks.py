"""The callbacks of one call: the user's, a History in ``fit``, and the progress bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastnn.callbacks.base import CallbackList
from fastnn.callbacks.history import History
from fastnn.training.progress import ProgressLogger

if TYPE_CHECKING:
    from fastnn.training.runner import Runner


def callback_list(model: Runner, callbacks: Any, verbose: int, steps: int, epochs: int = 1, history: bool = False) -> CallbackList:
    """The list whose hooks a run calls; a `CallbackList` of the user's own is taken as it is, with a History."""
    if isinstance(callbacks, CallbackList):
        if history and callbacks.history is None:
            callbacks.append(History())
            callbacks.set_model(model)
        return callbacks
    found = CallbackList(callbacks, add_history=history)
    if verbose:
        found.append(ProgressLogger())
    found.set_model(model)
    found.set_params({"verbose": verbose, "epochs": epochs, "steps": steps})
    return found


def progress_logger(callbacks: CallbackList) -> ProgressLogger | None:
    """The progress bar among the callbacks."""
    return next((callback for callback in callbacks.callbacks if isinstance(callback, ProgressLogger)), None)


@contextmanager
def closing_bar(bar: ProgressLogger | None) -> Iterator[None]:
    """End the bar's line when the run does not come to its end, as on Ctrl-C."""
    try:
        yield
    except BaseException:
        if bar is not None:
            bar.close()
        raise
