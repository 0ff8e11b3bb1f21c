"""Compile several units: here, and in a second process beside this one, because Numba compiles one thing at a time in a process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path

from fastnn_kernels import system
from fastnn_kernels.units import split_unit

WORTH = 4
"""Units from which on a second process, which takes a second or two to start, saves time."""

LONG = ("softmax_cross_entropy_dense", "softmax_cross_entropy", "matmul_bfloat16", "matmul")
"""Instructions that take longest; they come last here, and first in the second process."""

SERVE = "from fastnn_kernels.cpu.compiling import serve; serve()"

Make = Callable[[str, Callable[[str], bytes], bool], None]
"""``make(unit, compile_unit, patient)``: see that a unit is there, by ``compile_unit(unit)`` if need be; called by two threads.

While another program makes the unit, a patient caller waits, others get BlockingIOError."""


def compile_units(
    units: Sequence[str], compile_here: Callable[[str], bytes], begin: Callable[[int, str], None], make: Make
) -> None:
    """`make` all ``units``; ``begin(number done, unit)`` is called before each that is compiled or waited for here.

    Whatever the second process cannot do is done here.
    """
    waiting, left = deque(sorted(units, key=_rank)), list(units)

    def make_there(unit: str, compile_there: Callable[[str], bytes]) -> None:
        make(unit, compile_there, False)
        left.remove(unit)

    def make_here(unit: str) -> None:
        begin(len(units) - len(left), unit)
        make(unit, compile_here, True)
        left.remove(unit)

    with SecondProcess(waiting, make_there) if len(units) >= WORTH and can_start() else nullcontext() as second:
        while (unit := _first(waiting)) is not None:
            make_here(unit)
        if second is not None and left:
            begin(len(units) - len(left), left[0])
            second.thread.join()
    for unit in list(left):
        make_here(unit)


def _first(waiting: deque[str]) -> str | None:
    """The first one, taken; None where the second process took the last."""
    try:
        return waiting.popleft()
    except IndexError:
        return None


def _rank(unit: str) -> int:
    op, _ = split_unit(unit)
    return LONG.index(op) if op in LONG else -1


def can_start() -> bool:
    """Whether a second process has a core, and ``sys.executable`` is Python rather than a program that contains it."""
    named_python = Path(sys.executable or "").name.lower().startswith(("python", "pypy"))
    return system.usable_cores() > 1 and named_python and not getattr(sys, "frozen", False)


class SecondProcess:
    """Takes units from the end of ``waiting`` until none is left or it fails; ends with the block of a ``with``."""

    def __init__(self, waiting: deque[str], make: Callable[[str, Callable[[str], bytes]], None]) -> None:
        self._waiting, self._make = waiting, make
        self._process: subprocess.Popen[bytes] | None = None
        self.thread = threading.Thread(target=self._feed, name="fastnn-compiling", daemon=True)

    def __enter__(self) -> SecondProcess:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        with suppress(OSError):
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", SERVE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
        self.thread.join()
        if self._process is not None:
            with suppress(OSError):
                self._process.communicate()

    def _feed(self) -> None:
        with suppress(OSError, ValueError, IndexError):  # it died, or nothing is left
            while self._process is not None and self._process.poll() is None:
                with suppress(BlockingIOError):  # left for the first process, which can wait
                    self._make(self._waiting.pop(), partial(self._ask, self._process))

    def _ask(self, process: subprocess.Popen[bytes], unit: str) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(unit.encode() + b"\n")
        process.stdin.flush()
        size = int(process.stdout.readline())
        data = process.stdout.read(size)
        if len(data) != size or not data:
            raise ValueError("the second process failed")
        return data


def serve() -> None:
    """The second process: for each line of standard input, a unit, the size of its object and the object; 0 where it failed."""
    from fastnn_kernels.cpu.compiler import compile_object

    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints
    for line in sys.stdin.buffer:
        try:
            data = compile_object(line.decode().strip())
        except Exception:  # the first process will meet it too, and raise it
            data = b""
        answers.write(b"%d\n" % len(data) + data)
        answers.flush()
