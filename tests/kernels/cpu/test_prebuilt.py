"""Prebuilt objects: for which CPUs, when they are not used, and a round trip through the command that writes them."""

import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import pytest
from fastnn_kernels.cpu import compiler, prebuilt
from fastnn_kernels.cpu.prebuilt.__main__ import build, main
from fastnn_kernels.sources import Target
from fastnn_kernels.units import all_units

KERNELS = Path(prebuilt.__file__).parents[3]

needs_a_level = pytest.mark.skipif(
    not prebuilt.fits(llvm.get_process_triple()) or prebuilt.level_of(llvm.get_host_cpu_features()) is None,
    reason="needs Linux on x86-64-v3",
)

UNITS = ["interpreter", "take_rows", "relu-float32"]


@pytest.mark.parametrize(
    ("missing", "level"),
    [
        ([], "x86-64-v4"),
        (["avx512cd"], "x86-64-v3"),
        (["avx512vl"], "x86-64-v3"),
        (["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"], "x86-64-v3"),
        (["fma"], None),
        (["avx2", "avx512f"], None),
        (["movbe"], None),
        (["sse4.2"], None),
        (list(prebuilt.V4), None),
    ],
)
def test_the_level_of_a_cpu(missing, level):
    features = dict.fromkeys([*prebuilt.V4, "neon", "sha"], True) | dict.fromkeys(missing, False)
    assert prebuilt.level_of(features) == level
    assert prebuilt.level_of({name: there for name, there in features.items() if there}) == level


@pytest.fixture
def any_cpu(monkeypatch):
    """Linux on a CPU of the lower level, and no variable set."""
    for name in ("FASTNN_PREBUILT", *(f"NUMBA_{name}" for name in prebuilt.NUMBA_VARIABLES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(llvm, "get_process_triple", lambda: "x86_64-unknown-linux-gnu")
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: dict.fromkeys(prebuilt.V3, True))


@pytest.mark.parametrize(
    ("variables", "level"),
    [
        ({}, "x86-64-v3"),
        ({"FASTNN_PREBUILT": ""}, "x86-64-v3"),
        ({"FASTNN_PREBUILT": "1"}, "x86-64-v3"),
        ({"FASTNN_PREBUILT": "0"}, None),
        ({"NUMBA_CPU_NAME": "haswell"}, None),
        ({"NUMBA_CPU_FEATURES": "+avx2"}, None),
        ({"NUMBA_OPT": "1"}, None),
    ],
)
def test_variables_choose(any_cpu, monkeypatch, variables, level):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert prebuilt.level() == level


def test_a_wrong_choice_is_refused(any_cpu, monkeypatch):
    monkeypatch.setenv("FASTNN_PREBUILT", "yes")
    with pytest.raises(ValueError, match="FASTNN_PREBUILT is 'yes'; it is 0 for"):
        prebuilt.level()


@pytest.mark.parametrize(
    "triple", ["x86_64-apple-darwin22", "x86_64-pc-windows-msvc", "aarch64-unknown-linux-gnu", "i686-linux-gnu"]
)
def test_other_machines_have_no_level(any_cpu, monkeypatch, triple, capsys):
    monkeypatch.setattr(llvm, "get_process_triple", lambda: triple)
    assert prebuilt.level() is None
    assert prebuilt.read(UNITS) == {}
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert f"on x86-64 Linux, this is {triple}" in capsys.readouterr().err


def run(*arguments, **variables):
    """What a Python process prints that finds this checkout and treats warnings as errors."""
    environment = {**os.environ, "PYTHONPATH": str(KERNELS), "PYTHONWARNINGS": "error", "FASTNN_PREBUILT": "1", **variables}
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A folder with the tests' units for both levels, and what the command said."""
    folder = tmp_path_factory.mktemp("prebuilt")
    return folder, run("-m", "fastnn_kernels.cpu.prebuilt", "--folder", str(folder), *UNITS)


@pytest.fixture
def folder(built, any_cpu, monkeypatch, tmp_path):
    """A copy of it, as the package's."""
    monkeypatch.setattr(prebuilt, "FOLDER", tmp_path / "levels")
    shutil.copytree(built[0], tmp_path / "levels")
    return tmp_path / "levels" / "x86-64-v3"


def contents(folder):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file()}


def test_the_command_tells_of_each_unit(built):
    lines = built[1].splitlines()
    assert len(lines) == len(prebuilt.LEVELS) * len(UNITS)
    assert {"x86-64-v3   1/3  interpreter", "x86-64-v4   3/3  relu-float32"} <= set(lines)
    assert not {"relu-float32", "matmul-float64", "next_batch"} - set(all_units())


@pytest.mark.parametrize("statuses", [(0, 0), (0, 1), (-9, 0)])
def test_a_level_that_fails_fails_the_command(monkeypatch, statuses, tmp_path):
    left = list(statuses)

    def start(level, units, folder):
        status = left.pop()
        end = f"os.kill(os.getpid(), {-status})" if status < 0 else f"os._exit({status})"
        return subprocess.Popen([sys.executable, "-c", f"import os; {end}"])

    monkeypatch.setattr("fastnn_kernels.cpu.prebuilt.__main__.start", start)
    assert main(["--folder", str(tmp_path), "take_rows"]) == int(any(statuses))


def test_a_level_is_there_when_all_of_it_is(monkeypatch, tmp_path):
    old = tmp_path / "x86-64-v3" / "old.o"
    old.parent.mkdir()
    old.touch()

    def fail(unit):
        raise RuntimeError("LLVM fails")

    monkeypatch.setattr(compiler, "compile_object", fail)
    for name in ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    with pytest.raises(RuntimeError, match="LLVM fails"):
        build("x86-64-v3", ["take_rows"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["partial-x86-64-v3"]


def test_the_command_refuses_unknown_units(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["relu-float32", "rleu-float32"])
    assert "there is no unit rleu-float32" in capsys.readouterr().err


def test_what_is_there_is_read(folder):
    before = contents(folder.parent)
    assert list(prebuilt.read(UNITS)) == UNITS
    assert list(prebuilt.read(["relu-float64", "take_rows"])) == ["take_rows"]
    assert contents(folder.parent) == before


@pytest.mark.parametrize("damage", [b"", b"text\n", None])
def test_a_broken_or_missing_file_is_not_read_and_left_alone(folder, damage):
    (path,) = folder.glob("take_rows-*.o")
    path.unlink() if damage is None else path.write_bytes(damage)
    before = contents(folder.parent)
    assert list(prebuilt.read(UNITS)) == ["interpreter", "relu-float32"]
    assert contents(folder.parent) == before


def test_objects_of_another_level_are_not_read(folder):
    shutil.rmtree(folder)
    shutil.copytree(folder.with_name("x86-64-v4"), folder)
    assert prebuilt.read(UNITS) == {}


def test_after_an_edit_its_units_are_not_read(folder, monkeypatch):
    sources = prebuilt.CPU.read_sources()
    assert "x.size" in sources["cpu/activations.py"]
    edited = sources | {"cpu/activations.py": sources["cpu/activations.py"].replace("x.size", "(x.size + 0)")}
    monkeypatch.setattr(Target, "read_sources", lambda target: edited)
    before = contents(folder.parent)
    assert list(prebuilt.read(UNITS)) == ["interpreter", "take_rows"]
    assert contents(folder.parent) == before


def test_without_folders_nothing_is_read(folder):
    shutil.rmtree(folder.parent)
    assert prebuilt.read(UNITS) == {}


LOAD = """
import sys
from pathlib import Path
import numpy as np
from fastnn_kernels.cpu import objects, prebuilt
from fastnn_kernels.cpu.execute import execute
prebuilt.FOLDER = Path(sys.argv[1])
objects.load(["take_rows"])
out = np.zeros(5, np.float32)
attributes = {"negative_slope": 0.0, "max_value": np.inf, "threshold": 0.0}
execute("relu", {"x": np.arange(-2, 3, dtype=np.float32), "out": out}, attributes)
report = objects.report()
print(*out, report.prebuilt, report.compiled, report.cached, report.directory, "numba" in sys.modules)
"""


@needs_a_level
def test_a_new_process_neither_compiles_nor_writes_nor_warns(built):
    before = contents(built[0])
    printed = run("-c", LOAD, str(built[0]), FASTNN_CACHE_DIR=os.path.join(os.devnull, "nowhere"))
    assert printed == "0.0 0.0 0.0 1.0 2.0 ['take_rows', 'relu-float32', 'interpreter'] {} [] None False\n"
    assert contents(built[0]) == before


ASSEMBLY = """
from fastnn_kernels.cpu.compiler import compile_module, target_machine
print(target_machine().emit_assembly(compile_module("tanh-float32")))
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="x86's own instruction sets")
@pytest.mark.parametrize(("level", "there", "absent"), [("x86-64-v3", "ymm", "zmm"), ("x86-64-v4", "zmm", "ymm")])
def test_a_level_uses_its_widest_registers(level, there, absent):
    text = run("-c", ASSEMBLY, NUMBA_CPU_NAME=prebuilt.PROCESSOR, NUMBA_CPU_FEATURES=prebuilt.flags(level))
    assert there in text
    assert absent not in text
