"""The loop behind ``fit``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from fastnn_kernels.system import at_fork
from fastnn_kernels.warn import warn

from fastnn import random
from fastnn.callbacks.base import CallbackList
from fastnn.engine.session import Session
from fastnn.training import finite
from fastnn.training.data import Samples
from fastnn.training.evaluate import Evaluation
from fastnn.training.hooks import closing_bar, progress_logger
from fastnn.training.loop import Loop
from fastnn.training.runtime import Runtime
from fastnn.training.spec import Resolved

if TYPE_CHECKING:
    from fastnn.optimizers.base import Optimizer
    from fastnn.training.runner import Runner

_trained: dict[int, object] = {}
"""The calls that train a model now, by the model's id."""

at_fork(after_in_child=_trained.clear)


@contextmanager
def exclusively(model: Runner) -> Iterator[None]:
    """Train ``model`` in this thread alone.

    Raises
    ------
    RuntimeError
        When it is being trained already.
    """
    call = object()
    try:
        if _trained.setdefault(id(model), call) is not call:
            raise RuntimeError(
                f"model {model.name!r} is being trained already, in another thread or by the fit that called this callback; "
                "train copies of it, or one after the other"
            )
        yield
    finally:
        if _trained.get(id(model)) is call:
            del _trained[id(model)]


def run_once(session: Session, samples: Samples, optimizer: Optimizer | None = None) -> None:
    """Run ``samples`` as one batch, with ``optimizer`` as one update; a loss that is not finite does not stop it."""
    session.set_inputs(**samples.slots)
    if optimizer is not None:
        session.set_inputs(learning_rate=np.array([optimizer.learning_rate]))
        session.iterations = optimizer.iterations
    session.start(samples.count)
    session.run()
    while session.stopped is not None:
        session.run()
    if optimizer is not None:
        optimizer.iterations = session.iterations


class Training(Loop):
    """One call of ``fit``: ``session`` runs a train program, here is what happens around its epochs."""

    def __init__(
        self,
        model: Runner,
        runtime: Runtime,
        resolved: Resolved,
        samples: Samples,
        session: Session,
        *,
        steps: int | None = None,
        shuffle: bool = False,
    ) -> None:
        super().__init__(session, samples, steps, random.next_seed() if shuffle else None, resumes=steps is not None)
        self.model, self.runtime, self.resolved = model, runtime, resolved
        assert model.optimizer is not None
        self.optimizer = model.optimizer
        session.iterations = self.optimizer.iterations
        self._warned = False
        self._epoch = 0

    def before_steps(self, start: int, stop: int) -> None:
        self.learning_rates[start:stop] = float(self.optimizer.learning_rate)

    def logs(self) -> dict[str, float]:
        """The means over the epoch so far."""
        return self.resolved.logs(self.session.totals())

    def run(
        self,
        callbacks: CallbackList,
        epochs: range,
        validation: Evaluation | None = None,
        validates: Callable[[int], bool] = bool,
    ) -> None:
        """All epochs with their hooks."""
        model, bar = self.model, progress_logger(callbacks)
        hooks = callbacks.needs_batches("train")
        begin, end = (callbacks.on_train_batch_begin, self._batch_end(callbacks)) if hooks else (None, None)
        tick = None if bar is None else lambda step: bar.tick(step, self.logs)
        logs: dict[str, float] = {}
        model.stop_training = False
        with closing_bar(bar), self._storing():
            callbacks.on_train_begin()
            for self._epoch in epochs:
                callbacks.on_epoch_begin(self._epoch)
                self.epoch(begin, end, tick)
                self._store()
                logs = self.logs()
                if validation is not None and validates(self._epoch):
                    logs |= {f"val_{name}": value for name, value in validation.run(callbacks).items()}
                logs = dict(sorted(logs.items()))  # as in Keras
                callbacks.on_epoch_end(self._epoch, logs)
                if model.stop_training:
                    break
        callbacks.on_train_end(logs)

    def _batch_end(self, callbacks: CallbackList) -> Callable[[int], bool]:
        def end(step: int) -> bool:
            self._store()
            callbacks.on_train_batch_end(step, self.logs())
            return self.model.stop_training

        return end

    def _store(self) -> None:
        self.optimizer.iterations = self.session.iterations

    @contextmanager
    def _storing(self) -> Iterator[None]:
        """Whatever ends the run, the optimizer knows how many updates it made."""
        try:
            yield
        finally:
            self._store()

    def on_trouble(self, step: int) -> None:
        if not self._warned:
            self._warned = True
            where = f"epoch {self._epoch + 1}, step {step + 1}"
            rate = float(self.optimizer.learning_rate)
            text = finite.describe(self.runtime, self.samples, self.rows(step), where, rate)
            warn(text, RuntimeWarning)
