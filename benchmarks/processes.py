"""The runner's end of a worker, and other processes it starts: pinned, with the thread variables set, timed from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Timer
from typing import Any

import fastnn_kernels

import benchmarks
import fastnn
from benchmarks.peers import Peer

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)

SOURCES = [str(Path(str(package.__file__)).parent.parent) for package in (benchmarks, fastnn, fastnn_kernels)]
"""The folders of the packages that workers import."""

END_SECONDS = 20
"""How long a worker may take to end after its input did."""

MOST_SECONDS = 180.0
"""How long a worker may take for one answer: a library that hangs, or waits for threads on a busy machine, does not stop a run."""

SETTLE_SECONDS, POLL_SECONDS = 0.4, 0.02
"""A worker's pool may spin for a while after its last task; the next worker waits for that, at most so long."""


def cores_of(threads: int) -> list[int]:
    """The cores that ``threads`` threads stay on: the last ones this process may use; none where the system cannot tell."""
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return usable[-threads:]


def environment(peer: Peer, threads: int) -> dict[str, str]:
    """The variables a process of ``peer`` starts with; it finds the packages that this process found, installed or not."""
    path = os.pathsep.join([*dict.fromkeys(SOURCES), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, **dict.fromkeys(THREAD_VARIABLES, str(threads)), **peer.environment}


def worker_command(peer: Peer, threads: int) -> list[str]:
    """The command line of a worker."""
    cores = ",".join(map(str, cores_of(threads)))
    return [sys.executable, "-m", "benchmarks.worker", peer.name, str(threads), cores, peer.device]


class Worker:
    """A worker process, started on first use."""

    def __init__(self, peer: Peer, threads: int, variables: dict[str, str] | None = None) -> None:
        self.peer, self.threads = peer, threads
        self._variables = environment(peer, threads) | (variables or {})
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        """The process, running."""
        if self._process is None:
            self._process = subprocess.Popen(
                worker_command(self.peer, self.threads),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
                env=self._variables,
            )
        return self._process

    def ask(self, **request: Any) -> dict[str, Any]:
        """One request, its answer; a worker that died or took longer than `MOST_SECONDS` is a failure, and starts anew."""
        process, late = self.start(), Event()
        assert process.stdin is not None
        assert process.stdout is not None

        def give_up() -> None:
            late.set()
            process.kill()

        watch = Timer(MOST_SECONDS, give_up)
        watch.start()
        try:
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            watch.cancel()
        if line:
            return json.loads(line)
        status = self._end()
        if late.is_set():
            return {"status": "failed", "why": f"no answer within {MOST_SECONDS:g} s"}
        return {"status": "failed", "why": f"the process ended with status {status}: {self._last_words()}"}

    def _end(self) -> int:
        """Close its input, wait for its end; its status."""
        process = self._process
        self._process = None
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        try:
            status = process.wait(timeout=END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        process.stdout.close()
        return status

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else "without a word"

    def settle(self) -> None:
        """Wait until the process rests: its pool may still spin."""
        if self.threads == 1 or self._process is None:
            return
        end, before = time.monotonic() + SETTLE_SECONDS, -1
        while time.monotonic() < end:
            now = _cpu_ticks(self._process.pid)
            if now == before or now is None:
                return
            before = now
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._end()
        self._errors.close()


def _cpu_ticks(pid: int) -> int | None:
    """CPU time of a process in the kernel's ticks, from proc(5); None where there is no such file."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return int(fields[11]) + int(fields[12])


@contextmanager
def pinned(cores: Sequence[int]) -> Iterator[None]:
    """Children inherit the affinity of who starts them."""
    if not cores or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def busy_neighbour(wanted: bool) -> Iterator[None]:
    """A process that keeps the first core busy, if ``wanted``: another one than that of one thread, one of those of all threads."""
    if not wanted:
        yield
        return
    with pinned(cores_of(1 << 16)[:1]):
        process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        process.kill()
        process.wait()
