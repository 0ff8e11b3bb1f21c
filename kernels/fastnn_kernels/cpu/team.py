"""The team: threads of this process that run one program together. The caller is worker 0; the others are parked between runs.

Every run gives the same bits for any number of workers. So a caller who finds the team busy runs alone, and nobody waits.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
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


@dataclass(eq=False)
class Parked:
    """A thread that waits for its lock between runs."""

    lock: Any
    thread: threading.Thread | None = None
    core: int = -1
    """Where it ran last."""
    cores: set[int] = field(default_factory=set)
    """Where it may run after its next run; empty: as now."""

    def settle(self) -> None:
        """What the thread itself does after a run."""
        self.core = system.current_core()
        if self.cores:
            system.let_thread_run_on(self.cores)
            self.cores = set()  # only now: meanwhile `Team.spread` leaves the thread alone


class Team:
    """Parked daemon threads, one raw lock each: releasing a thread's lock wakes it for one run."""

    def __init__(self) -> None:
        words = np.zeros(BARRIER_WORDS + 8, np.int64)
        start = -words.ctypes.data // 8 % 8
        self.barrier = words[start : start + BARRIER_WORDS]
        self.barrier[BARRIER_STOP] = NEVER
        self.parked: list[Parked] = []
        self.task: tuple[Callable[..., int], tuple[int, ...], int] | None = None

    def grow(self, workers: int) -> int:
        """Have threads for ``workers`` workers, the caller included; returns how many there can be."""
        while len(self.parked) < workers - 1:
            parked, worker = Parked(threading.Lock(), core=system.current_core()), len(self.parked) + 1
            parked.lock.acquire()
            parked.thread = threading.Thread(target=self._serve, args=(parked, worker), name=f"fastnn-{worker}", daemon=True)
            try:
                parked.thread.start()
            except RuntimeError:  # the system has no more threads to give
                return worker
            self.parked.append(parked)  # at once: Ctrl-C may come before or after
        return workers

    def _serve(self, parked: Parked, worker: int) -> None:
        while True:
            parked.lock.acquire()
            if self.task is None:
                return
            function, arguments, workers = self.task
            function(*arguments, worker, workers)
            parked.settle()

    def spread(self, workers: int) -> None:
        """Let no thread begin its next run on the caller's core, or on that of a thread before it.

        Linux wakes a thread on the core where it slept, and after a rest may leave it there with the caller for 8 ms, half a
        run, while another core is idle.
        """
        here = system.current_core()
        if here < 0:
            return
        taken = {here}
        for parked in self.parked[: workers - 1]:
            if parked.core in taken and not parked.cores and parked.thread is not None and parked.thread.native_id is not None:
                parked.cores = system.keep_thread_off(parked.thread.native_id, taken)
            taken.add(parked.core)

    def run(self, function: Callable[..., int], arguments: tuple[int, ...], workers: int) -> int:
        """Call ``function(*arguments, worker, workers)`` on every worker at once; returns worker 0's result."""
        self.task = (function, arguments, workers)
        self.spread(workers)
        wake = [parked.lock.release for parked in self.parked[: workers - 1]]
        # One call into C: no bytecode, so no Ctrl-C, comes between waking the others and meeting them at the barrier.
        return list(map(call, [*wake, partial(function, *arguments, 0, workers)]))[-1]

    def stop(self) -> None:
        """End the threads."""
        self.task = None
        for parked in self.parked:
            parked.lock.release()
        for parked in self.parked:
            if parked.thread is not None:
                parked.thread.join()
        self.parked.clear()


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
