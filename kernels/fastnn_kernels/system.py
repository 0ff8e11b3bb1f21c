"""Every call to the operating system, each with a fallback where a platform lacks it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache, partial
from pathlib import Path
from types import FrameType

CGROUP_ROOT = Path("/sys/fs/cgroup")
CGROUP_OF_PROCESS = Path("/proc/self/cgroup")


def usable_cores() -> int:
    """Cores this process may use: its affinity mask, cut to its cgroup's CPU quota; at least 1."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    cores = os.cpu_count() or 1
    if affinity is not None:
        with suppress(OSError):
            cores = len(affinity(0))
    quota = cpu_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


@cache
def cpu_quota() -> float | None:
    """The smallest CPU quota, in cores, of this process's cgroup and its parents (version 2 or 1); None when there is none.

    Read once a process: it takes some files.
    """
    try:
        lines = CGROUP_OF_PROCESS.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            quotas += [_quota_v2(folder) for folder in _folder_and_parents(CGROUP_ROOT, path)]
        elif "cpu" in controllers.split(","):
            quotas += [_quota_v1(folder) for folder in _folder_and_parents(CGROUP_ROOT / "cpu", path)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _folder_and_parents(root: Path, path: str) -> list[Path]:
    folder = root / path.lstrip("/")
    return [folder, *(parent for parent in folder.parents if parent == root or root in parent.parents)]


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        return quota / int((folder / "cpu.cfs_period_us").read_text()) if quota > 0 else None
    except (OSError, ValueError):
        return None


def sched_yield_address() -> int:
    """Address of the C function ``sched_yield``; 0 where the system has none."""
    try:
        function = ctypes.CDLL(None).sched_yield
    except (OSError, TypeError, AttributeError):  # Windows: CDLL(None) is a TypeError
        return 0
    return ctypes.cast(function, ctypes.c_void_p).value or 0


@cache
def _getcpu() -> Callable[[], int] | None:
    try:
        return ctypes.PyDLL(None).sched_getcpu  # keeps the GIL: a call is shorter than giving it away
    except (OSError, TypeError, AttributeError):
        return None


def current_core() -> int:
    """Number of the core that this thread runs on; -1 where the system does not tell."""
    getcpu = _getcpu()
    return -1 if getcpu is None else getcpu()


def keep_thread_off(thread: int, cores: set[int]) -> set[int]:
    """Let the thread with this native id run on its other cores alone, if it has any; the cores for `let_thread_run_on` afterwards.

    Empty where nothing was changed: there are no others, the thread is gone, or the system has no such call.
    """
    if hasattr(os, "sched_setaffinity"):
        with suppress(OSError):
            allowed = os.sched_getaffinity(thread)
            if allowed - cores:
                os.sched_setaffinity(thread, allowed - cores)
                return allowed
    return set()


def let_thread_run_on(cores: set[int]) -> None:
    """Let this thread run on ``cores``, which `keep_thread_off` returned."""
    with suppress(OSError):
        os.sched_setaffinity(0, cores)


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let Ctrl-C wait for the end of the block: inside, LLVM calls back into Python, where an exception is dropped."""
    received: list[tuple[int, FrameType | None]] = []
    old = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(old):
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: received.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
    if received:
        old(*received[0])


def _nothing() -> None:
    pass


def at_fork(
    *, after_in_child: Callable[[], None], before: Callable[[], None] = _nothing, after_in_parent: Callable[[], None] = _nothing
) -> None:
    """Call these around every ``os.fork``; nothing to do where nothing forks."""
    register = getattr(os, "register_at_fork", None)
    if register is not None:
        register(before=before, after_in_child=after_in_child, after_in_parent=after_in_parent)


def cache_directory() -> Path | None:
    """Where compiled objects are kept: ``FASTNN_CACHE_DIR`` or the user's cache folder; None for a user without a home."""
    if chosen := os.environ.get("FASTNN_CACHE_DIR"):
        return Path(chosen).expanduser().absolute()
    variable = {"win32": "LOCALAPPDATA", "darwin": ""}.get(sys.platform, "XDG_CACHE_HOME")
    folder = os.environ.get(variable, "") if variable else ""
    if folder and Path(folder).is_absolute():
        return Path(folder) / "fastnn"
    try:
        home = Path.home()
    except RuntimeError:
        return None
    below = {"win32": "AppData/Local", "darwin": "Library/Caches"}.get(sys.platform, ".cache")
    return home / below / "fastnn" if home.is_absolute() else None


def private_directory(path: Path) -> None:
    """Make ``path``, for this user alone.

    OSError when that is impossible, or when another user may write there: code is loaded from it. (An image may be built by root.)
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    own_id = getattr(os, "geteuid", None)  # POSIX only
    status = path.stat()
    if own_id is not None and (status.st_uid not in (own_id(), 0) or status.st_mode & 0o022):
        raise PermissionError("other users may write to it, and code is loaded from it: chmod go-w")


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` so that a reader sees the whole of it or nothing; OSError when that is impossible."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    synchronize_directory(path.parent)


def synchronize_directory(path: Path) -> None:
    """Make a rename in ``path`` durable; does nothing where directories cannot be opened (Windows)."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return
    try:
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)


LOCK_PATIENCE = 120.0
"""Seconds to wait for what another process has locked: one that is stopped keeps it for ever."""


@contextmanager
def locks(path: Path | None) -> Iterator[Callable[[int, bool], AbstractContextManager[None]]]:
    """``lock(place, patient)``: for a block, keep other processes from the same place of the file ``path``, a number for anything.

    Where another process has it, a patient caller waits, others get BlockingIOError. Locks end with this process, and no fork
    inherits them. Nothing is locked where that is impossible, or after `LOCK_PATIENCE`.
    """
    handle = None
    if path is not None:
        with suppress(OSError):
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield partial(_lock, handle)
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def _lock(handle: int | None, place: int, patient: bool) -> Iterator[None]:
    if handle is None or not _locked(handle, place, patient):
        yield
        return
    import fcntl

    try:
        yield
    finally:
        fcntl.lockf(handle, fcntl.LOCK_UN, 1, place)


def _locked(handle: int, place: int, patient: bool) -> bool:
    """Whether the place is locked now, perhaps after a time."""
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    start = time.monotonic()
    while time.monotonic() - start < LOCK_PATIENCE:
        try:
            fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            return True
        except (BlockingIOError, PermissionError):  # POSIX allows both
            if not patient:
                raise BlockingIOError(f"another process has locked place {place}") from None
            time.sleep(0.05)
        except OSError:  # some network file systems have no locks
            return False
    return False


def keep_newest(folder: Path, pattern: str, count: int = 8) -> None:
    """Delete all but the newest ``count`` files of ``folder`` whose names match ``pattern``."""
    with suppress(OSError):  # another process may have deleted one
        files = sorted(folder.glob(pattern), key=lambda file: file.stat().st_mtime)
        for file in files[:-count]:
            file.unlink()
