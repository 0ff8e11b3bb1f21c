"""The simulator: a GPU's blocks and memory in plain Python, for tests without a GPU. Slow; as exact as the kernels are.

The threads of a cluster of blocks take turns: one runs until it waits for others, then the next. So a run is the same every time,
a thread that misses a barrier is an error, and a barrier that a kernel forgot shows: the order of the turns is reversed at every
barrier. What the hardware does beside the threads comes as late as it can.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

local = threading.local()
"""``block`` and ``thread`` of the simulated thread."""


def order_of_blocks(firsts: range) -> Iterable[int]:
    """In which order clusters of blocks run, by the number of their first; on a GPU nobody knows."""
    return firsts


class Turns:
    """Whose turn it is among some threads."""

    def __init__(self, threads: int) -> None:
        self.error: BaseException | None = None
        self._turns = [threading.Semaphore(0) for _ in range(threads)]
        self._ready = deque(range(threads))
        self._waiting: dict[Hashable, list[int]] = {}
        self._later: deque[Callable[[], None]] = deque()
        self._running = threads
        self._done = threading.Semaphore(0)

    def run(self, functions: list[Callable[[], None]]) -> None:
        """All functions, each in a thread of its own."""
        targets = [threading.Thread(target=self._thread, args=item, daemon=True) for item in enumerate(functions)]
        for thread in targets:
            thread.start()
        self._next()
        self._done.acquire()
        for thread in targets:
            thread.join()
        if self.error is not None:
            raise self.error

    def meet(self, key: Hashable, members: int) -> None:
        """Until ``members`` threads are here."""
        waiting = self._waiting.setdefault(key, [])
        if len(waiting) + 1 == members:
            self._ready.append(local.number)
            self.wake(key)
            self._next()
            self._take_turn()
        else:
            self.sleep(key)

    def sleep(self, key: Hashable) -> None:
        """Until somebody wakes ``key``."""
        self._waiting.setdefault(key, []).append(local.number)
        self._next()
        self._take_turn()

    def wake(self, key: Hashable) -> None:
        """The threads that sleep for ``key`` go on, the last one first."""
        self._ready.extend(reversed(self._waiting.pop(key, [])))

    def later(self, action: Callable[[], None]) -> None:
        """``action``, when no thread can go on without it."""
        self._later.append(action)

    def _thread(self, number: int, function: Callable[[], None]) -> None:
        local.number = number
        try:
            self._take_turn()
            with np.errstate(all="ignore"):  # a setting of the thread
                function()
        except BaseException as error:  # the launch raises it
            self.error = self.error or error
        self._running -= 1
        self._next()

    def _take_turn(self) -> None:
        self._turns[local.number].acquire()
        if self.error is not None:
            raise self.error

    def _next(self) -> None:
        """Hand the turn on; where nobody can take it, some wait for what others never do."""
        while self.error is None and not self._ready and self._later:
            self._later.popleft()()
        if self.error is None and not self._ready and self._running:
            self.error = RuntimeError("some threads of the block wait at a barrier that the others do not reach")
        if self.error is not None:
            for key in list(self._waiting):
                self.wake(key)
        if self._ready:
            self._turns[self._ready.popleft()].release()
        elif not self._running:
            self._done.release()


@dataclass(eq=False)
class Block:
    """What the threads of one block share; ``cluster`` blocks run at the same time, this one is number ``rank`` of them."""

    turns: Turns
    cluster: list[Block]
    rank: int
    number: int
    blocks: int
    threads: int
    dynamic: NDArray[np.uint8]
    """The memory that the launch gives to the block."""
    shared: dict[tuple[Any, ...], NDArray] = field(default_factory=dict)
    values: list[Any] = field(default_factory=list)
    copies: dict[int, Any] = field(default_factory=dict)
    barriers: dict[int, Any] = field(default_factory=dict)
    products: dict[range, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.values = [None] * self.threads

    def wait(self, members: range) -> None:
        """Until all ``members`` are here."""
        self.turns.meet((self.rank, members), len(members))


def run_blocks(
    function: Callable[..., Any], blocks: int, threads: int, arguments: tuple[Any, ...], *, cluster: int = 1, shared_bytes: int = 0
) -> None:
    """Run ``function(*arguments)`` on ``blocks`` blocks, one cluster of them after another."""
    turns, current = Turns(cluster * threads), list[Block]()

    def begin(first: int) -> None:
        """The first thread of the next cluster makes its blocks."""
        if not current or current[0].number != first:
            current[:] = []
            for rank in range(cluster):
                dynamic = np.full(shared_bytes, 0xFF, np.uint8)
                current.append(Block(turns, current, rank, first + rank, blocks, threads, dynamic))

    def thread(rank: int, number: int) -> Callable[[], None]:
        def run() -> None:
            local.thread = number
            for first in order_of_blocks(range(0, blocks, cluster)):
                begin(first)
                local.block = current[rank]
                function(*arguments)
                turns.meet("end", cluster * threads)

        return run

    turns.run([thread(rank, number) for rank in range(cluster) for number in range(threads)])
