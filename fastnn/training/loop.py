"""Running a session over samples, epoch after epoch, in pieces of about 50 ms."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
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
        Steps an epoch, when that is not one pass over the samples: passes then follow each other without regard to epochs.
    shuffle : Generator, optional
        Gives each pass a new order.
    """

    def __init__(
        self, session: Session, samples: Samples, steps: int | None = None, shuffle: np.random.Generator | None = None
    ) -> None:
        self.session, self.samples = session, samples
        per_pass = -(-samples.count // session.batch)
        self.steps = steps or per_pass
        self._endless = self.steps != per_pass
        self._shuffle = shuffle
        self._index = None if shuffle is None else np.arange(samples.count)
        self.learning_rate: NDArray[np.float64] = np.zeros(per_pass)
        self.before_piece: Callable[[], float] | None = None
        self.on_trouble: Callable[[int], None] | None = None
        session.set_inputs(**samples.slots, index=self._index, learning_rate=self.learning_rate)
        session.start(0)

    def begin(self) -> None:
        """Start an epoch: totals at zero, and a new pass unless passes go on across epochs."""
        if self._endless and self.session.samples:
            self.session.memory.segments["totals"][...] = 0
        else:
            self._rewind(keep_totals=False)

    def _rewind(self, *, keep_totals: bool) -> None:
        if self._shuffle is not None:
            self._shuffle.shuffle(self._index)
        self.session.start(self.samples.count, keep_totals=keep_totals)

    def rows(self, step: int) -> NDArray[np.int64]:
        """Numbers of the samples in batch ``step`` of the current pass."""
        places = np.arange(step * self.session.batch, min((step + 1) * self.session.batch, self.samples.count))
        return places if self._index is None else self._index[places]

    def advance(self, limit: int) -> int:
        """Run up to ``limit`` steps, at most about `PIECE_SECONDS`; returns the steps done, at least one."""
        session = self.session
        if session.step == session.steps:
            self._rewind(keep_totals=True)
        piece = max(1, int(PIECE_SECONDS / session.step_seconds)) if session.step_seconds else 1
        limit = min(limit, piece, session.steps - session.step)
        if self.before_piece is not None:
            self.learning_rate[session.step : session.step + limit] = self.before_piece()
        done = session.run(limit)
        while session.stopped is not None:
            if self.on_trouble is not None:
                self.on_trouble(session.stopped)
            done += session.run(limit - done)
        return done

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
        self.begin()
        done = 0
        while done < self.steps:
            if begin is not None:
                begin(done)
            done += self.advance(self.steps - done if begin is None else 1)
            if tick is not None:
                tick(done)
            if end is not None and end(done - 1):
                break
