"""The cache of objects: what is compiled, read, refused and rebuilt; several threads and processes at once."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import llvmlite.binding as llvm
import numpy as np
import pytest
from fastnn_kernels import store, system
from fastnn_kernels.cpu import compiler, digests, objects

UNIT = "test_note"
KERNELS = Path(digests.__file__).parents[2]


@pytest.fixture
def fresh(instructions, monkeypatch, tmp_path):
    """``fresh()``: objects as in a new process whose cache directory is ``tmp_path``."""

    def start():
        monkeypatch.setattr(objects, "_addresses", {})
        monkeypatch.setattr(objects, "_report", objects.Report())
        monkeypatch.setattr(store, "_warned", False)

    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path))
    start()
    return start


def load():
    """Load the unit; what was compiled and what was read."""
    assert objects.load([UNIT])[UNIT] > 0
    report = objects.report()
    return list(report.compiled), report.cached


def stored(folder):
    (path,) = folder.glob(f"{UNIT}-*.o")
    return path


def test_the_first_process_compiles_and_the_next_reads(fresh, tmp_path):
    calls = []
    objects.load([UNIT, "test_count"], lambda *call: calls.append(call))
    assert calls == [(0, 2, UNIT), (1, 2, "test_count"), (2, 2, "")]
    report = objects.report()
    assert list(report.compiled) == [UNIT, "test_count"]
    assert all(seconds > 0 for seconds in report.compiled.values())
    assert report.directory == tmp_path
    assert load() == ([UNIT, "test_count"], [])  # this process has it
    fresh()
    calls.clear()
    objects.load([UNIT, "test_count"], lambda *call: calls.append(call))
    assert calls == []
    assert load() == ([], [UNIT, "test_count"])
    assert not list(tmp_path.glob(".new-*"))


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_files_are_private(fresh, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "größer" / "cache"))
    load()
    path = stored(tmp_path / "größer" / "cache")
    assert path.stat().st_mode & 0o077 == path.parent.stat().st_mode & 0o077 == 0


def foreign_object(text):
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    return machine.emit_object(llvm.parse_assembly(text))


UNKNOWN_FUNCTION = "declare void @no_such_function()\ndefine void @fastnn_test_note() { call void @no_such_function()\nret void }"
OTHER_FUNCTION = "define void @fastnn_other() { ret void }"


def signed(data):
    """As `objects` would have written it, but for its content."""
    return lambda path, content: store.header(UNIT, path.stem.removeprefix(f"{UNIT}-"), data()) + data()


DAMAGES = {
    "empty": lambda path, content: b"",
    "cut in the header": lambda path, content: content[:20],
    "cut in the object": lambda path, content: content[:-100],
    "one bit": lambda path, content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
    "longer": lambda path, content: content + b"\0",
    "text": lambda path, content: b"not an object\n",
    "another unit's": lambda path, content: content.replace(UNIT.encode(), b"test_trip", 1),
    "another version's": lambda path, content: content.replace(path.stem[-32:].encode(), b"0" * 32, 1),
    "needs an unknown function": signed(lambda: foreign_object(UNKNOWN_FUNCTION)),
    "lacks the function": signed(lambda: foreign_object(OTHER_FUNCTION)),
    "broken ELF": signed(lambda: b"\x7fELF\x02\x01" + bytes(range(256))),
    "another format": signed(lambda: b"\xcf\xfa\xed\xfe" * 100),
}


@pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="objects are checked by their ELF symbols")
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_foreign_object_is_rebuilt(fresh, tmp_path, damage):
    load()
    path = stored(tmp_path)
    good = path.read_bytes()
    path.write_bytes(DAMAGES[damage](path, good))
    assert path.read_bytes() != good
    fresh()
    assert load() == ([UNIT], [])
    fresh()
    assert load() == ([], [UNIT])


def test_a_unit_that_needs_an_unknown_function_is_refused(fresh, monkeypatch):

    monkeypatch.setattr(compiler, "compile_object", lambda unit: foreign_object(UNKNOWN_FUNCTION))
    with pytest.raises(RuntimeError, match=r"unit 'test_note' needs functions that no object may use: .*no_such_function"):
        load()


def refuse(*arguments):
    raise PermissionError("read-only file system")


@pytest.mark.parametrize("missing", ["private_directory", "write_atomically"])
def test_a_directory_that_cannot_be_written_is_one_warning(fresh, monkeypatch, missing, tmp_path):
    monkeypatch.setattr(system, missing, refuse)
    with pytest.warns(RuntimeWarning, match=r"cannot be used .*set FASTNN_CACHE_DIR"):
        load()
    objects.load(["test_count"])  # a second warning would be an error
    assert list(objects.report().compiled) == [UNIT, "test_count"]
    assert not list(tmp_path.glob("*.o"))


def test_a_user_without_a_home_is_one_warning(fresh, monkeypatch):
    monkeypatch.setattr(system, "cache_directory", lambda: None)
    with pytest.warns(RuntimeWarning, match="no place is known") as caught:
        assert load() == ([UNIT], [])
    assert caught[0].filename == __file__  # not a line of the kernels' own
    objects.load(["test_count"])
    assert objects.report().directory is None


def test_a_file_where_the_directory_should_be_is_one_warning(fresh, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(RuntimeWarning, match="cannot be used"):
        assert load() == ([UNIT], [])


def test_threads_at_once_compile_once(fresh):
    calls, threads = [], []
    for _ in range(4):
        threads.append(threading.Thread(target=objects.load, args=([UNIT], lambda *call: calls.append(call))))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [(0, 1, UNIT), (1, 1, "")]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_forked_while_another_thread_loads(fresh):
    load()
    with objects._lock:
        child = os.fork()
        if child == 0:
            fresh()
            os._exit(0 if load() == ([], [UNIT]) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


FORK_WHILE_COMPILING = """
import logging, os, signal, threading  # logging: its own fork hooks must not be registered during the fork
from fastnn_kernels.cpu import objects
compiling = threading.Event()
thread = threading.Thread(target=objects.load, args=(["next_batch"], lambda *progress: compiling.set()))
thread.start()
compiling.wait()
child = os.fork()
signal.alarm(60)
if child == 0:
    os._exit(0 if objects.load(["next_update"])["next_update"] else 1)
thread.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_fork_waits_for_a_compilation_so_that_the_child_can_compile(tmp_path):
    environment = os.environ | {"FASTNN_CACHE_DIR": str(tmp_path / "cache"), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run([sys.executable, "-c", FORK_WHILE_COMPILING], env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("0", "")


PROGRAM = """
import sys
import numpy as np
from fastnn_kernels.cpu import objects
from fastnn_kernels.cpu.execute import execute
control = np.zeros(8, np.int64)
execute("next_batch", {"control": control}, {"batch": 5}, workers=2)
print(*control[:3], sorted(objects.report().compiled), "numba" in sys.modules)
"""

HELPER = """
from fastnn_kernels.cpu.options import kernel

STRIDE = 1


@kernel
def advance(value):
    return value + STRIDE
"""
BATCHES = """
import math

from fastnn_kernels.cpu.helper import advance
from fastnn_kernels.cpu.options import kernel


@kernel
def next_batch(control, batch, worker, workers):
    control[0] = advance(control[0])
    control[1] = math.pow(float(batch), float(control[0]))  # a function that its object takes from this process
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package with one kernel of the test's own, in a folder with letters beyond ASCII."""
    root = tmp_path / "Käfer"
    shutil.copytree(KERNELS / "fastnn_kernels", root / "fastnn_kernels", ignore=shutil.ignore_patterns("__pycache__"))
    cpu = root / "fastnn_kernels" / "cpu"
    (cpu / "helper.py").write_text(HELPER)
    (cpu / "own_batches.py").write_text(BATCHES)
    (cpu / "kernels.py").write_text(
        "from fastnn_kernels.cpu import own_batches\n\nKERNELS = {'next_batch': own_batches.next_batch}\n"
    )
    return root


def start(package, cache, **variables):
    environment = {**os.environ, "PYTHONPATH": str(package), "FASTNN_CACHE_DIR": str(cache), "PYTHONWARNINGS": "error", **variables}
    command = [sys.executable, "-c", PROGRAM]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")


def finish(process):
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert errors == ""
    return out.strip()


def test_processes(package, tmp_path):
    """Two at once compile once; the next reads and imports no numba; after an edit in another file, just the kernel is compiled."""
    cache = tmp_path / "cache"
    both = [finish(process) for process in [start(package, cache) for _ in range(2)]]
    assert all(printed.startswith("1 5 0 [") for printed in both)
    assert sum(printed.count("'interpreter'") for printed in both) == sum(printed.count("'next_batch'") for printed in both) == 1
    assert finish(start(package, cache)) == "1 5 0 [] False"
    helper = package / "fastnn_kernels" / "cpu" / "helper.py"
    helper.write_text(HELPER.replace("STRIDE = 1", "STRIDE = 2"))
    assert finish(start(package, cache)) == "2 25 0 ['next_batch'] True"
    helper.write_text(HELPER)
    assert finish(start(package, cache)) == "1 5 0 [] False"


LOCKED = """
import sys, time
from pathlib import Path
from fastnn_kernels import store
with store.locks(Path(sys.argv[1])) as lock, lock(sys.argv[2], True):
    print("locked", flush=True)
    time.sleep(100)
"""


@pytest.fixture
def maker(fresh, tmp_path):
    """Another process that makes the unit, and never ends."""
    (digest,) = digests.unit_digests([UNIT], tmp_path).values()
    command = [sys.executable, "-c", LOCKED, str(tmp_path), digest]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(KERNELS)}, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "locked\n"
        yield other
        other.kill()


needs_locks = pytest.mark.skipif(os.name != "posix", reason="files are locked on POSIX systems")


@needs_locks
def test_a_process_that_is_killed_while_it_compiles_is_waited_for_no_longer(maker):
    calls = []

    def kill_it(*call):
        calls.append(call)
        threading.Timer(0.2, maker.kill).start()

    start = time.monotonic()
    objects.load([UNIT], kill_it)
    assert time.monotonic() - start >= 0.2
    assert calls == [(0, 1, UNIT), (1, 1, "")]
    assert list(objects.report().compiled) == [UNIT]


@needs_locks
def test_what_another_process_compiled_meanwhile_is_read(maker, fresh, tmp_path, monkeypatch):
    with monkeypatch.context() as impatient:
        impatient.setattr(system, "LOCK_PATIENCE", 0.0)
        load()
    path = stored(tmp_path)
    content = path.read_bytes()
    path.unlink()
    fresh()

    def end_it(*call):
        path.write_bytes(content)
        maker.kill()

    objects.load([UNIT], end_it)
    assert load() == ([], [UNIT])


@needs_locks
def test_a_unit_that_another_process_makes_keeps_nobody_from_the_others(maker, tmp_path):
    assert list(objects.load(["next_update"])) == ["next_update"]
    with store.locks(tmp_path) as lock:
        (digest,) = digests.unit_digests([UNIT], tmp_path).values()
        with pytest.raises(BlockingIOError, match="another process"), lock(digest, False):
            pytest.fail("it is locked")


def test_results_of_a_read_object(fresh):
    from fastnn_kernels.cpu.execute import execute

    load()
    fresh()
    log = np.zeros(4, np.int64)
    execute(UNIT, {"log": log}, {"value": 7})
    assert UNIT in load()[1]
    np.testing.assert_array_equal(log, [1, 7, 0, 0])
