"""The team: threads of this process that run one program together. The caller is worker 0; the others are parked between runs.

Every run gives the same bits for any number of workers. So a caller who finds the team busy runs alone, and nobody waits.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from functools import cache, partial
from operator import call
from typing import Any

import numpy as np

from fastnn_kernels import system
from fastnn_kernels.cpu import objects
from fastnn_kernels.instructions import BARRIER_STOP, BARRIER_WORDS, NEVER
from fastnn_kernels.units import INTERPRETER

SPINS = 2000
"""Turns of a waiting worker before it lets other threads run, when every worker has a core; without, it yields at once."""


@cache
def interpreter_function() -> Callable[..., int]:
    """The interpreter as a function of ten integers that releases the GIL."""
    address = objects.load([INTERPRETER])[INTERPRETER]
    # As wide as int64, and an int is passed as c_void_p in half the time that it takes as c_int64.
    return ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 10)(address)


@cache
def _system() -> tuple[int, int]:
    """The address of ``sched_yield`` and the number of usable cores."""
    return system.sched_yield_address(), system.usable_cores()


class Team:
    """Parked daemon threads, one raw lock each: releasing a thread's lock wakes it for one run."""

    def __init__(self) -> None:
        words = np.zeros(BARRIER_WORDS + 8, np.int64)
        start = -words.ctypes.data // 8 % 8
        self.barrier = words[start : start + BARRIER_WORDS]
        self.barrier[BARRIER_STOP] = NEVER
        self.locks: list[Any] = []
        self.threads: list[threading.Thread] = []
        self.cores: list[int] = []
        """Where each thread ran last."""
        self.task: tuple[Callable[..., int], tuple[int, ...], int] | None = None

    def grow(self, workers: int) -> int:
        """Have threads for ``workers`` workers, the caller included; returns how many there can be."""
        while len(self.threads) < workers - 1:
            lock = threading.Lock()
            lock.acquire()
            worker = len(self.threads) + 1
            thread = threading.Thread(target=self._serve, args=(lock, worker), name=f"fastnn-{worker}", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the system has no more threads to give
                return worker
            self.locks.append(lock)
            self.threads.append(thread)
            self.cores.append(system.current_core())
        return workers

    def _serve(self, lock: Any, worker: int) -> None:
        while True:
            lock.acquire()
            if self.task is None:
                return
            function, arguments, workers = self.task
            function(*arguments, worker, workers)
            self.cores[worker - 1] = system.current_core()

    def spread(self, workers: int) -> None:
        """Keep the threads off the caller's core and off each other's.

        Linux wakes a thread on the core where it slept, and after a rest may leave it there with the caller for 8 ms, half a
        run, while another core is idle.
        """
        taken = {system.current_core()}
        for thread, core in zip(self.threads[: workers - 1], self.cores, strict=False):
            if core in taken:
                system.keep_thread_off(thread.native_id or 0, taken)
            taken.add(core)

    def run(self, function: Callable[..., int], arguments: tuple[int, ...], workers: int) -> int:
        """Call ``function(*arguments, worker, workers)`` on every worker at once; returns worker 0's result."""
        self.task = (function, arguments, workers)
        self.spread(workers)
        wake = [lock.release for lock in self.locks[: workers - 1]]
        # One call into C: no bytecode, so no Ctrl-C, comes between waking the others and meeting them at the barrier.
        return list(map(call, [*wake, partial(function, *arguments, 0, workers)]))[-1]

    def stop(self) -> None:
        """End the threads."""
        self.task = None
        for lock in self.locks:
            lock.release()
        for thread in self.threads:
            thread.join()
        self.locks.clear()
        self.threads.clear()
        self.cores.clear()


_team = Team()
_team_lock = threading.Lock()


def run(table: int, rows: int, steps: int, *, first_row: int = 0, status: int = 0, workers: int = 1) -> int:
    """Run a bound table on ``workers`` workers, or on the caller alone while another caller has the team.

    ``table`` is the address of ``rows`` rows, ``status`` that of the word that stops the run. Returns ``step * rows + row``
    of the row that stopped it, or ``steps * rows``.
    """
    function = interpreter_function()
    if workers > 1 and not _team_lock.locked():
        with _team_lock:  # a caller who loses the race here waits; Ctrl-C between acquire() and try would leave it locked for ever
            workers = _team.grow(workers)
            yielding, cores = _system()
            spins = SPINS if workers <= cores else 0
            arguments = (table, rows, first_row, steps, status, _team.barrier.ctypes.data, yielding, spins)
            return _team.run(function, arguments, workers)
    return function(table, rows, first_row, steps, status, 0, 0, 0, 0, 1)


def _before_fork() -> None:
    """End the parked threads: a process that forks with live threads may deadlock, and Python warns of it."""
    if _team_lock.acquire(blocking=False):
        try:
            _team.stop()
        finally:
            _team_lock.release()


def _after_fork_in_child() -> None:
    global _team, _team_lock
    _team, _team_lock = Team(), threading.Lock()


system.at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
