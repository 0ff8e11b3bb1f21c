"""The simulator: a GPU's blocks and memory in plain Python, for tests without a GPU. Slow; as exact as the kernels are.

The threads of a block take turns: one runs until it waits for others, then the next. So a run is the same every time, a thread
that misses a barrier is an error, and a barrier that a kernel forgot shows: the order of the turns is reversed at every barrier.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

local = threading.local()
"""``block`` and ``thread`` of the simulated thread."""


def order_of_blocks(blocks: int) -> Iterable[int]:
    """Which block runs when; on a GPU nobody knows."""
    return range(blocks)


class Block:
    """The threads of one block: whose turn it is, and the memory they share."""

    def __init__(self, threads: int, blocks: int) -> None:
        self.threads, self.blocks, self.number = threads, blocks, -1
        self.shared: dict[tuple[Any, ...], NDArray] = {}
        self.values: list[Any] = [None] * threads
        self.error: BaseException | None = None
        self._turns = [threading.Semaphore(0) for _ in range(threads)]
        self._ready = deque(range(threads))
        self._waiting: dict[tuple[range, str], list[int]] = {}
        self._running = threads
        self._done = threading.Semaphore(0)

    def run(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """All blocks of a launch, one after another."""
        threads = [threading.Thread(target=self._thread, args=(me, function, arguments), daemon=True) for me in range(self.threads)]
        for thread in threads:
            thread.start()
        self._next()
        self._done.acquire()
        for thread in threads:
            thread.join()
        if self.error is not None:
            raise self.error

    def wait(self, members: range, place: str = "") -> None:
        """Until all ``members`` are here."""
        waiting = self._waiting.setdefault((members, place), [])
        waiting.append(local.thread)
        if len(waiting) == len(members):
            self._ready.extend(reversed(waiting))
            waiting.clear()
        self._next()
        self._take_turn()

    def _thread(self, me: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        local.block, local.thread = self, me
        try:
            self._take_turn()
            with np.errstate(all="ignore"):  # a setting of the thread
                for number in order_of_blocks(self.blocks):
                    if number != self.number:  # the first thread of the next block
                        self.number, self.shared = number, {}
                    function(*arguments)
                    self.wait(range(self.threads), "end")
        except BaseException as error:  # the launch raises it
            self.error = self.error or error
        self._running -= 1
        self._next()

    def _take_turn(self) -> None:
        self._turns[local.thread].acquire()
        if self.error is not None:
            raise self.error

    def _next(self) -> None:
        """Hand the turn on; where nobody can take it, some wait for a barrier that others never reach."""
        if self.error is None and not self._ready and self._running:
            self.error = RuntimeError("some threads of the block wait at a barrier that the others do not reach")
        if self.error is not None:
            for waiting in self._waiting.values():
                self._ready.extend(waiting)
                waiting.clear()
        if self._ready:
            self._turns[self._ready.popleft()].release()
        elif not self._running:
            self._done.release()


def run_blocks(function: Callable[..., Any], blocks: int, threads: int, arguments: tuple[Any, ...]) -> None:
    """Run ``function(*arguments)`` on ``blocks`` blocks."""
    Block(threads, blocks).run(function, arguments)
