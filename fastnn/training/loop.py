"""Running a session over samples, epoch after epoch, in pieces of about 50 ms."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from fastnn_kernels.warn import warn
from numpy.typing import NDArray

from fastnn.engine.session import Session
from fastnn.training.data import Samples

PIECE_SECONDS = 0.05
"""How long one engine call lasts: between calls live progress, Ctrl-C, and a changed learning rate."""


class Loop:
    """A session over samples.

    Parameters
    ----------
    session : Session
        It belongs to the loop while that is in use.
    samples : Samples
        What it runs over.
    steps : int, optional
        The most steps an epoch has, by default one pass over the samples.
    seed : int, optional
        Gives each pass a new order: the first state of the ``shuffle`` instruction, 64 bits.
    resumes : bool
        Whether an epoch goes on in the pass where the one before stopped, as in ``fit(steps_per_epoch=...)``.
    """

    def __init__(
        self,
        session: Session,
        samples: Samples,
        steps: int | None = None,
        seed: int | None = None,
        *,
        resumes: bool = False,
    ) -> None:
        self.session, self.samples = session, samples
        per_pass = -(-samples.count // session.batch)
        self.steps = steps or per_pass
        self._resumes = resumes
        self._step_seconds = PIECE_SECONDS
        self._index = None if seed is None else np.arange(samples.count, dtype=np.int64)
        state = None if seed is None else np.array([seed], np.uint64).view(np.int64)
        self.learning_rates: NDArray[np.float64] = np.zeros(per_pass)
        session.set_inputs(**samples.slots, index=self._index, shuffle_state=state, learning_rate=self.learning_rates)
        session.start(0)

    def begin(self) -> int:
        """Start an epoch, totals at zero, and a new pass where one is due; returns the epoch's steps."""
        session = self.session
        if self._resumes and session.step < session.steps:
            session.clear_totals()
        else:
            session.start(self.samples.count)
        steps = min(self.steps, session.steps - session.step)
        if steps < self.steps:
            warn(
                f"Your input ran out of data; the epoch has {steps} steps instead of {self.steps}: {self.samples.count} samples "
                f"make {session.steps} batches of {session.batch}"
            )
        return steps

    def rows(self, step: int) -> NDArray[np.int64]:
        """Numbers of the samples in batch ``step`` of the current pass."""
        places = np.arange(step * self.session.batch, min((step + 1) * self.session.batch, self.samples.count))
        return places if self._index is None else self._index[places]

    def advance(self, limit: int) -> int:
        """Run up to ``limit`` steps, at most about `PIECE_SECONDS`; returns the steps done, at least one."""
        session = self.session
        first, start = session.step, time.perf_counter()
        limit = min(limit, max(1, int(PIECE_SECONDS / self._step_seconds)))
        self.before_steps(first, first + limit)
        done = session.run(limit)
        while session.stopped is not None:
            self.on_trouble(session.stopped)
            done += session.run(limit - done)
        whole = min(session.step, self.samples.count // session.batch) - first
        if whole > 0:  # the last, short batch says nothing about the others
            self._step_seconds = (time.perf_counter() - start) / whole
        return done

    def before_steps(self, start: int, stop: int) -> None:
        """Called before the steps from ``start`` to ``stop`` run."""

    def on_trouble(self, step: int) -> None:
        """Called when the loss of ``step`` is not finite, before its update."""

    def epoch(
        self,
        begin: Callable[[int], None] | None = None,
        end: Callable[[int], bool] | None = None,
        tick: Callable[[int], None] | None = None,
    ) -> None:
        """Run one epoch.

        Parameters
        ----------
        begin, end : callable of the step, optional
            When given the run goes step by step; ``end`` returns whether to stop.
        tick : callable of the steps done, optional
            Called after each piece.
        """
        done, steps = 0, self.begin()
        while done < steps:
            if begin is not None:
                begin(done)
            done += self.advance(steps - done if begin is None else 1)
            if tick is not None:
                tick(done)
            if end is not None and end(done - 1):
                break
