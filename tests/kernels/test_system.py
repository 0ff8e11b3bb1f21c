"""The operating system's calls, and what happens where one is missing."""

import ctypes
import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path

import pytest
from fastnn_kernels import system

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="Linux's own calls")


@pytest.fixture(autouse=True)
def _read_the_quota_anew():
    system.cpu_quota.cache_clear()
    yield
    system.cpu_quota.cache_clear()


@pytest.fixture
def no_quota(monkeypatch, tmp_path):
    monkeypatch.setattr(system, "CGROUP_OF_PROCESS", tmp_path / "missing")


@needs_linux
def test_cores_follow_the_affinity_mask(monkeypatch, no_quota):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 3, 5})
    assert system.usable_cores() == 3


@pytest.mark.parametrize(("count", "expected"), [(6, 6), (None, 1)])
def test_cores_without_affinity(monkeypatch, no_quota, count, expected):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert system.usable_cores() == expected


@needs_linux
def test_cores_when_affinity_cannot_be_asked(monkeypatch, no_quota):
    def refuse(process):
        raise OSError("not permitted")

    monkeypatch.setattr(os, "sched_getaffinity", refuse)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert system.usable_cores() == 4


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/", {"cpu.max": "max 100000"}, None),
        ("0::/", {"cpu.max": "nonsense"}, None),
        ("0::/pod/app", {"pod/cpu.max": "300000 100000", "pod/app/cpu.max": "max 100000"}, 3.0),
        ("0::/pod/app", {"cpu.max": "250000 100000"}, 2.5),
        ("3:cpu,cpuacct:/app", {"cpu/app/cpu.cfs_quota_us": "200000", "cpu/app/cpu.cfs_period_us": "100000"}, 2.0),
        ("3:cpu,cpuacct:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("4:memory:/app", {"cpu/app/cpu.cfs_quota_us": "200000"}, None),
        ("", {}, None),
    ],
)
def test_quota_of_the_cgroup(monkeypatch, tmp_path, groups, files, quota):
    process = tmp_path / "cgroup"
    process.write_text(groups + "\n" if groups else "")
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(system, "CGROUP_OF_PROCESS", process)
    monkeypatch.setattr(system, "CGROUP_ROOT", tmp_path / "root")
    assert system.cpu_quota() == quota
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    assert system.usable_cores() == (64 if quota is None else int(quota))


def test_a_quota_below_one_core_is_one_core(monkeypatch):
    monkeypatch.setattr(system, "cpu_quota", cache(lambda: 0.25))
    assert system.usable_cores() == 1


@needs_linux
def test_sched_yield_can_be_called():
    assert ctypes.CFUNCTYPE(ctypes.c_int)(system.sched_yield_address())() == 0


@pytest.mark.parametrize("error", [TypeError, OSError, AttributeError])
def test_without_sched_yield_its_address_is_0(monkeypatch, error):
    def refuse(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert system.sched_yield_address() == 0


def test_without_fork_nothing_is_registered(monkeypatch):
    monkeypatch.delattr(os, "register_at_fork", raising=False)
    called = []
    system.at_fork(before=lambda: called.append(1), after_in_child=lambda: called.append(2))
    assert called == []


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"FASTNN_CACHE_DIR": "/chosen/here"}, "/chosen/here"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/fastnn"),
        ("linux", {"XDG_CACHE_HOME": "relative"}, "/home/Åsa Öst/.cache/fastnn"),
        ("linux", {}, "/home/Åsa Öst/.cache/fastnn"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "/home/Åsa Öst/Library/Caches/fastnn"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/fastnn"),
        ("win32", {}, "/home/Åsa Öst/AppData/Local/fastnn"),
    ],
)
def test_cache_directory(monkeypatch, platform, variables, expected):
    for name in ("FASTNN_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/Åsa Öst"))
    assert system.cache_directory() == Path(expected)


def test_a_user_without_a_home_has_no_cache_directory(monkeypatch):
    def refuse():
        raise RuntimeError("Could not determine home directory.")

    for name in ("FASTNN_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", refuse)
    assert system.cache_directory() is None


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_the_directory_is_private(tmp_path):
    system.private_directory(tmp_path / "a" / "ö")
    assert stat.S_IMODE((tmp_path / "a" / "ö").stat().st_mode) == 0o700


@needs_linux
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o1777])
def test_a_directory_that_others_may_write_to_is_refused(tmp_path, mode):
    tmp_path.chmod(mode)
    with pytest.raises(PermissionError, match="other users may write"):
        system.private_directory(tmp_path)


@needs_linux
def test_a_directory_of_another_user_is_refused_and_one_of_root_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    owned_by_root = tmp_path.stat().st_uid == 0
    if owned_by_root:
        system.private_directory(tmp_path)
        os.chown(tmp_path, 12345, -1)
    with pytest.raises(PermissionError, match="other users may write"):
        system.private_directory(tmp_path)


def test_a_directory_where_users_have_no_numbers(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "geteuid", raising=False)
    system.private_directory(tmp_path / "cache")
    assert (tmp_path / "cache").is_dir()


def test_writing_replaces_the_whole_file(tmp_path):
    path = tmp_path / "Größe.o"
    for data in (b"first", b"2nd"):
        system.write_atomically(path, data)
        assert path.read_bytes() == data
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError("in use")

    path = tmp_path / "file"
    system.write_atomically(path, b"old")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(PermissionError):
        system.write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("missing", ["open", "fsync"])
def test_directories_that_cannot_be_synchronized(tmp_path, monkeypatch, missing):
    def refuse(*arguments):
        raise PermissionError("a directory")

    monkeypatch.setattr(os, missing, refuse)
    system.synchronize_directory(tmp_path)


LOCKED = """
import sys, time
from pathlib import Path
from fastnn_kernels import system
with system.locks(Path(sys.argv[1])) as lock, lock(7, True):
    print("locked", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def locked(tmp_path):
    """A file whose place 7 another process has locked."""
    environment = os.environ | {"PYTHONPATH": str(Path(system.__file__).parents[1])}
    command = [sys.executable, "-c", LOCKED, str(tmp_path / "lock")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        yield tmp_path / "lock"
        other.kill()


needs_locks = pytest.mark.skipif(os.name != "posix", reason="files are locked on POSIX systems")


@needs_locks
def test_a_place_that_stays_locked_is_waited_for_with_patience(locked, monkeypatch):
    monkeypatch.setattr(system, "LOCK_PATIENCE", 0.25)
    start = time.monotonic()
    with system.locks(locked) as lock:
        with lock(8, True):
            assert time.monotonic() - start < 0.25
        with pytest.raises(BlockingIOError), lock(7, False):
            pytest.fail("it is locked")
        with lock(7, True):
            assert time.monotonic() - start >= 0.25


@needs_locks
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_lock_ends_with_its_block_and_no_fork_has_it(tmp_path):
    """What another process finds, asked from a fork: locked within the block, even after a fork has closed the file; then free."""
    path = tmp_path / "lock"
    with system.locks(path) as lock:
        with lock(7, True):
            assert [locked_for_a_fork(path) for _ in range(2)] == [True, True]
        assert not locked_for_a_fork(path)
        with pytest.raises(KeyError), lock(7, True):
            raise KeyError
        assert not locked_for_a_fork(path)


def locked_for_a_fork(path):
    child = os.fork()
    if child == 0:
        with system.locks(path) as lock:
            try:
                with lock(7, False):
                    os._exit(0)
            except BlockingIOError:
                os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


@needs_locks
def test_without_locks_nothing_is_waited_for(locked, monkeypatch, tmp_path):
    ran = []
    for path in (None, tmp_path / "missing" / "lock"):
        with system.locks(path) as lock, lock(7, False):
            ran.append(path)
    monkeypatch.setattr("fcntl.lockf", no_locks)
    with system.locks(locked) as lock, lock(7, False):
        ran.append("no locks")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with system.locks(locked) as lock, lock(7, False):
        ran.append("no module")
    assert len(ran) == 4


def no_locks(handle, operation, length, start):
    raise OSError(errno.ENOLCK, "no locks available")


def test_the_newest_files_are_kept(tmp_path):
    for age in range(5):
        file = tmp_path / f"relu-{age}.o"
        file.touch()
        os.utime(file, (1000 - age, 1000 - age))
    (tmp_path / "other.o").touch()
    system.keep_newest(tmp_path, "relu-*.o", 2)
    assert {file.name for file in tmp_path.iterdir()} == {"relu-0.o", "relu-1.o", "other.o"}


def test_an_interrupt_waits_for_the_end_of_the_block():
    reached = []

    def interrupted():
        with system.interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert reached == ["the end"]
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_interrupts_are_left_alone_where_nobody_handles_them_and_outside_the_main_thread():
    old = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with system.interrupts_deferred():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, old)
    seen = []

    def in_a_thread():
        with system.interrupts_deferred():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    thread.join()
    assert seen == [old]


def test_keeping_a_thread_off_all_cores_changes_nothing() -> None:
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs Linux")
    before = os.sched_getaffinity(0)
    assert system.keep_thread_off(0, before) == set()
    assert os.sched_getaffinity(0) == before


def test_where_the_system_does_not_tell_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "_getcpu", lambda: None)
    assert system.current_core() == -1
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    assert system.keep_thread_off(0, {-1}) == set()
