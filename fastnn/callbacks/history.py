"""History: what ``fit`` returns."""

from __future__ import annotations

from fastnn.callbacks.base import Callback, Logs


class History(Callback):
    """Records the loss and the metrics of every epoch; ``fit`` adds one and returns it.

    Attributes
    ----------
    history : dict of str to list of float
        One value an epoch, by name.
    epoch : list of int
        The epochs' numbers, from 0.
    params : dict
        ``{"verbose", "epochs", "steps"}``.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
