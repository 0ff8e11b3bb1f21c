"""The pass behind ``evaluate``, and behind the validation in ``fit``."""

from __future__ import annotations

from fastnn.callbacks.base import CallbackList
from fastnn.engine.session import Session
from fastnn.training.data import Samples
from fastnn.training.hooks import closing_bar, progress_logger
from fastnn.training.loop import Loop
from fastnn.training.spec import Resolved


class Evaluation(Loop):
    """Passes over fixed samples with the weights as they are; ``session`` runs a test program."""

    def __init__(self, session: Session, resolved: Resolved, samples: Samples, steps: int | None = None) -> None:
        super().__init__(session, samples, steps)
        self.resolved = resolved

    def logs(self) -> dict[str, float]:
        """The means so far."""
        return self.resolved.logs(self.session.totals())

    def run(self, callbacks: CallbackList) -> dict[str, float]:
        """One pass with its hooks; returns the logs."""
        bar = progress_logger(callbacks)
        tick = None if bar is None else lambda step: bar.tick_test(step, self.logs)

        def end(step: int) -> bool:
            callbacks.on_test_batch_end(step, self.logs())
            return False

        with closing_bar(bar):
            callbacks.on_test_begin()
            if callbacks.needs_batches("test"):
                self.epoch(callbacks.on_test_batch_begin, end, tick)
            else:
                self.epoch(tick=tick)
            logs = self.logs()
            callbacks.on_test_end(logs)
        return logs
