"""Callback, whose hooks a subclass overrides; CallbackList, which calls the hooks of many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastnn.callbacks.history import History
    from fastnn.training.runner import Runner

Logs = dict[str, float] | None

BATCH_HOOKS = {
    "train": ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
    "predict": ("on_predict_batch_begin", "on_predict_batch_end"),
}
"""The hooks that, when some callback overrides them, make a run go batch by batch."""

EPOCH_HOOKS = ("on_epoch_begin", "on_epoch_end")

PLAIN_HOOKS = ("on_train_begin", "on_train_end", "on_test_begin", "on_test_end", "on_predict_begin", "on_predict_end")
"""The hooks that receive ``logs`` alone."""


class Callback:
    """Base class of callbacks: override the hooks you need.

    In ``fit`` the order is ``on_train_begin``; then each epoch ``on_epoch_begin``, for each batch ``on_train_batch_begin`` and
    ``on_train_batch_end``, with validation data ``on_test_begin``, for each batch ``on_test_batch_begin`` and
    ``on_test_batch_end``, ``on_test_end``, then ``on_epoch_end``; and finally ``on_train_end``. Training runs at full speed
    between the hooks that are overridden: only a batch hook makes it go batch by batch.

    Attributes
    ----------
    model : Model
        The model that is trained; set ``self.model.stop_training = True`` to stop.
    params : dict
        ``{"verbose", "epochs", "steps"}``.

    Examples
    --------
    >>> class Worst(Callback):
    ...     def on_train_begin(self, logs=None):
    ...         self.loss = 0.0
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.loss = max(self.loss, logs["loss"])
    """

    model: Any = None
    params: dict[str, Any] | None = None

    def set_params(self, params: dict[str, Any]) -> None:
        """Receive ``params`` before the first hook."""
        self.params = params

    def set_model(self, model: Runner) -> None:
        """Receive ``model`` before the first hook."""
        self.model = model

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """The old name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """The old name of `on_train_batch_end`."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Before epoch ``epoch``, counted from 0. ``logs`` is empty."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """After epoch ``epoch``: ``logs`` holds the loss and the metrics, and those of the validation data as ``val_...``."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before batch ``batch`` of the epoch, counted from 0. ``logs`` is empty."""
        self.on_batch_begin(batch, logs=logs)

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After batch ``batch``: ``logs`` holds the means over the epoch so far."""
        self.on_batch_end(batch, logs=logs)

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of ``evaluate`` or of the validation in ``fit``. ``logs`` is empty."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """After a batch of ``evaluate`` or of the validation in ``fit``: ``logs`` holds the means so far."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """Before a batch of ``predict``. ``logs`` is empty."""

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """After a batch of ``predict``: ``logs["outputs"]`` holds the batch's predictions."""

    def on_train_begin(self, logs: Logs = None) -> None:
        """Before the first epoch. ``logs`` is empty."""

    def on_train_end(self, logs: Logs = None) -> None:
        """After the last epoch: ``logs`` is what its ``on_epoch_end`` received."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """Before ``evaluate``, or the validation in ``fit``. ``logs`` is empty."""

    def on_test_end(self, logs: Logs = None) -> None:
        """After ``evaluate``, or the validation in ``fit``: ``logs`` holds the loss and the metrics."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """Before ``predict``. ``logs`` is empty."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """After ``predict``. ``logs`` is empty."""


def overrides(callback: Callback, hook: str) -> bool:
    """Whether ``callback`` has a ``hook`` of its own: from its class, or set on the object."""
    own = getattr(callback, hook)
    return getattr(own, "__func__", own) is not getattr(Callback, hook)


class CallbackList(Callback):
    """Calls the hooks of several callbacks, in order; ``fit(callbacks=...)`` makes one of what it is given.

    Parameters
    ----------
    callbacks : Callback or (nested) list of Callback, optional
    add_history : bool
        Append a `History` unless there is one.
    model : Model, optional
    **params
        Handed to ``set_params`` of each.

    Raises
    ------
    TypeError
        For anything that is not a callback object, such as a class without parentheses.
    """

    def __init__(self, callbacks: Any = None, add_history: bool = False, model: Runner | None = None, **params: Any) -> None:
        self.callbacks = list(_flat(callbacks))
        if add_history and self.history is None:
            from fastnn.callbacks.history import History

            self.callbacks.append(History())
        if model is not None:
            self.set_model(model)
        self.set_params(params)

    @property
    def history(self) -> History | None:
        """The `History` among the callbacks, if any."""
        from fastnn.callbacks.history import History

        return next((callback for callback in self.callbacks if isinstance(callback, History)), None)

    def append(self, callback: Callback) -> None:
        """Add a callback at the end."""
        self.callbacks.append(callback)

    def set_params(self, params: dict[str, Any]) -> None:
        """Hand ``params`` to each callback."""
        self.params = params
        if params:
            for callback in self.callbacks:
                callback.set_params(params)

    def set_model(self, model: Runner) -> None:
        """Hand ``model`` to each callback; its ``history`` becomes the one in this list."""
        self.model = model
        if self.history is not None:
            model.history = self.history
        for callback in self.callbacks:
            callback.set_model(model)

    def needs_batches(self, kind: str) -> bool:
        """Whether a callback overrides a batch hook of ``kind``: "train", "test" or "predict"."""
        return any(overrides(callback, hook) for callback in self.callbacks for hook in BATCH_HOOKS[kind])


def _forward(hook: str) -> Callable[..., None]:
    """The method of `CallbackList` that calls ``hook`` of each callback with the same ``logs``."""

    def plain(self: CallbackList, logs: Logs = None) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            getattr(callback, hook)(logs)

    def numbered(self: CallbackList, number: int, logs: Logs = None) -> None:
        logs = {} if logs is None else logs
        for callback in self.callbacks:
            getattr(callback, hook)(number, logs)

    call: Callable[..., None] = plain if hook in PLAIN_HOOKS else numbered
    call.__name__ = hook
    return call


for _hook in (*PLAIN_HOOKS, *EPOCH_HOOKS, *(hook for hooks in BATCH_HOOKS.values() for hook in hooks)):
    setattr(CallbackList, _hook, _forward(_hook))


def _flat(callbacks: Any) -> Iterator[Callback]:
    if isinstance(callbacks, list | tuple):
        for callback in callbacks:
            yield from _flat(callback)
    elif isinstance(callbacks, type):
        raise TypeError(f"callbacks takes objects, got the class {callbacks.__name__}; write {callbacks.__name__}()")
    elif isinstance(callbacks, Callback):
        yield callbacks
    elif callbacks is not None:
        raise TypeError(f"callbacks takes fastnn.callbacks.Callback objects, got {callbacks!r} of type {type(callbacks).__name__}")


class LambdaCallback(Callback):
    """A callback made of functions: ``LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, logs["loss"]))``.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable of (epoch, logs), optional
    on_train_begin, on_train_end : callable of (logs), optional
    on_train_batch_begin, on_train_batch_end : callable of (batch, logs), optional
    **hooks
        Any other hook of `Callback` by its name.
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **hooks: Any,
    ) -> None:
        named = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
        }
        self.__dict__.update({name: function for name, function in (named | hooks).items() if function is not None})
