"""Seeds: one root for the process, one seed after the other for whoever draws random numbers."""

from __future__ import annotations

import itertools
import random as _python_random
import secrets
import threading
from collections.abc import Iterator, Sequence

import numpy as np
from fastnn_kernels.system import at_fork

from fastnn.errors import refuse_names

__all__ = ["set_random_seed", "set_seed"]

refuse_names(__name__)

# (root, counter): taking the next number of a counter is one step of the interpreter, so threads need no lock here and a
# forked child inherits none that is held
_state: tuple[int, Iterator[int]] = (secrets.randbits(64), itertools.count())


def set_random_seed(seed: int) -> None:
    """Seed Python's ``random``, NumPy's global generator and fastnn: the same program then gives the same bits again.

    Parameters
    ----------
    seed
        An integer from 0 to 2**32 - 1.

    Raises
    ------
    ValueError
        If ``seed`` is not such an integer.
    """
    set_seed(seed)
    _python_random.seed(int(seed))
    np.random.seed(int(seed))


def set_seed(seed: int) -> None:
    """Seed fastnn alone, initial weights, shuffles and dropout; ``tf.random.set_seed`` in programs written for TensorFlow.

    Raises
    ------
    ValueError
        If ``seed`` is not an integer from 0 to 2**32 - 1.
    """
    global _state
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be an integer from 0 to 2**32 - 1, got {seed!r}")
    _state = (int(seed), itertools.count())


def next_seed() -> int:
    """A fresh 64-bit seed; after `set_random_seed` the same sequence of them."""
    root, counter = _state
    return int(np.random.SeedSequence([root, next(counter)]).generate_state(1, np.uint64)[0])


class Draws:
    """What a layer draws at random: one draw a step, whose numbers follow from the seed, the draw's number and their places.

    Parameters
    ----------
    seed : int, optional
        Less than 2**64; by default `next_seed`.

    Attributes
    ----------
    made : int
        Draws so far.
    """

    __slots__ = ("made", "seed")

    def __init__(self, seed: int | None = None) -> None:
        self.seed, self.made = next_seed() if seed is None else seed, 0


_drawing = threading.Lock()


def _renew_lock() -> None:
    global _drawing
    _drawing = threading.Lock()


at_fork(after_in_child=_renew_lock)


def reserve(draws: Sequence[Draws], count: int, least: int = 0) -> int:
    """The first of ``count`` numbers of draws, at least ``least``, that none of ``draws`` has made; now all of them have."""
    with _drawing:
        first = max(least, *(each.made for each in draws))
        for each in draws:
            each.made = first + count
    return first
