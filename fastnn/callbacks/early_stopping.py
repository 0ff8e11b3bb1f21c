"""EarlyStopping: stop when a watched value no longer improves."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from fastnn_kernels.warn import warn

from fastnn.callbacks.base import Callback, Logs
from fastnn.errors import near_matches

MODES = ("auto", "min", "max")

KINDS = {str: "a key of logs, such as 'val_loss'", Real: "a number", Integral: "a whole number of epochs"}


class EarlyStopping(Callback):
    """Stop training when a watched value has stopped improving.

    Parameters
    ----------
    monitor : str
        Key of ``logs``.
    min_delta : float
        A change no larger than this is no improvement.
    patience : int
        Epochs without improvement before training stops.
    verbose : int
        1 prints what it does.
    mode : str
        ``"min"``, ``"max"``, or ``"auto"``: the loss and the errors are to fall, the accuracies to rise.
    baseline : float, optional
        Patience starts anew only on values better than this.
    restore_best_weights : bool
        Go back to the weights of the best epoch at the end, also when training was not stopped early.
    start_from_epoch : int
        Epochs to wait before watching.

    Attributes
    ----------
    stopped_epoch : int
        The epoch, from 0, after which training was stopped; 0 when it was not.
    best, best_epoch, best_weights
        The best value so far, its epoch, and the weights then (None without ``restore_best_weights``).

    Warns
    -----
    UserWarning
        When ``monitor`` is not in ``logs``: training goes on.

    Raises
    ------
    ValueError
        After the first epoch, when ``mode="auto"`` cannot tell which way ``monitor`` is to go, or ``monitor`` looks misspelled.

    Examples
    --------
    >>> EarlyStopping(monitor="val_accuracy", patience=3, restore_best_weights=True).patience
    3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        if mode not in MODES:
            warn(f"EarlyStopping mode {mode!r} is unknown, 'auto' is used; known: {MODES}")
            mode = "auto"
        for name, value, kind in (("monitor", monitor, str), ("min_delta", min_delta, Real), ("patience", patience, Integral)):
            if not isinstance(value, kind) or isinstance(value, bool):
                raise TypeError(f"{name} of EarlyStopping must be {KINDS[kind]}, got {value!r}")
        if patience < 0:
            raise ValueError(f"patience of EarlyStopping must be at least 0, got {patience!r}")
        self.monitor, self.mode = monitor, mode
        self.min_delta = abs(min_delta)
        self.patience, self.verbose = patience, verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = start_from_epoch
        self._sign = 0
        self._reset()

    def _reset(self) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best: float | None = None
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if not self._sign:
            self._sign = self._direction(logs or {})
        current = self.get_monitor_value(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._remember(epoch)
        self.wait += 1
        if self._is_improvement(current, self.best):
            self.best, self.best_epoch = current, epoch
            if self.restore_best_weights:
                self._remember(epoch)
            if self._is_improvement(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        if self.stopped_epoch > 0 and self.verbose > 0:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose > 0:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)

    def get_monitor_value(self, logs: Logs) -> float | None:
        """The watched value, or None with a warning."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            known = ",".join(logs or {})
            text = f"Early stopping conditioned on metric `{self.monitor}` which is not available. Available metrics are: {known}"
            if self.monitor.startswith("val_") and "val_" not in known:
                text += ". Give fit validation_data or validation_split, or watch one of these"
            elif close := near_matches(self.monitor, logs or {}, count=1):
                text += f". Did you mean {close[0]!r}?"
            warn(text)
        return value

    def _remember(self, epoch: int) -> None:
        self.best_weights, self.best_epoch = self.model.get_weights(), epoch

    def _is_improvement(self, value: float, reference: float | None) -> bool:
        return reference is None or self._sign * value - self.min_delta > self._sign * reference

    def _direction(self, logs: dict[str, float]) -> int:
        """1 when the watched value is to rise, -1 when it is to fall."""
        if self.mode != "auto":
            return 1 if self.mode == "max" else -1
        name = self.monitor.removeprefix("val_")
        known = {"loss": -1} | self.model._metric_directions()
        if name not in known:
            close = [] if self.monitor in logs else near_matches(self.monitor, logs, count=1)
            if close:
                raise ValueError(
                    f"EarlyStopping received monitor={self.monitor!r}, which is not among the logs. Did you mean {close[0]!r}? "
                    f"The logs have: {', '.join(map(repr, logs))}"
                )
            raise ValueError(
                f"EarlyStopping received monitor={self.monitor!r}, and cannot tell whether it is to rise or to fall. "
                f"Pass mode='max' or mode='min'. Known: {', '.join(map(repr, known))}"
            )
        return known[name]
