"""What a unit's digest depends on: the source it reaches, no other; and what Numba compiles for."""

import llvmlite.binding as llvm
import pytest
from fastnn_kernels.cpu import digests
from fastnn_kernels.cpu.digests import SourceGraph, environment, read_sources, unit_digests

TABLE = """
from fastnn_kernels.cpu import math_, waves

KERNELS = {"relu": waves.relu, "sigmoid": waves.sigmoid, "tanh": waves.tanh}
"""
WAVES = """
from fastnn_kernels.cpu.math_ import exp as exponential, half
from fastnn_kernels.cpu.options import kernel

LIMIT, SLOPE = 30.0, 0.5


@kernel
def relu(x, out, worker, workers):
    out[0] = x[0] * SLOPE


@kernel
def sigmoid(x, out, worker, workers):
    out[0] = 1 / (1 + exponential(-x[0]))


@kernel
def tanh(x, out, worker, workers):
    out[0] = half(x[0])
"""
MATH = """
from numba.extending import overload


def half(x):
    return x / 2


def exp(x):
    return polynomial(x, DEGREE)


def polynomial(x, degree):
    return x + degree


@overload(half)
def half_implementation(x):
    return lambda x: x * 0.5


DEGREE = 5
"""
OPTIONS = """
OPTIONS = {}


def kernel(f):
    return f
"""
SOURCES = {
    "kernels.py": TABLE,
    "waves.py": WAVES,
    "math_.py": MATH,
    "options.py": OPTIONS,
    "intrinsics.py": "array_float32 = 1",
    "compiler.py": "REVISION = 1",
    "interpreter.py": "def run(): return half(1)",
}
UNITS = ["relu-float32", "sigmoid-float32", "tanh-float32", "interpreter"]


@pytest.mark.parametrize(
    ("path", "old", "new", "changed"),
    [
        ("waves.py", "x[0] * SLOPE", "x[0] + SLOPE", {"relu"}),
        ("waves.py", "0.5", "0.25", {"relu"}),
        ("math_.py", "DEGREE = 5", "DEGREE = 6", {"sigmoid"}),
        ("math_.py", "x + degree", "x - degree", {"sigmoid"}),
        ("math_.py", "x * 0.5", "x * 0.25", {"tanh", "interpreter"}),
        ("waves.py", "import exp as", "import half as", {"sigmoid"}),
        ("kernels.py", "waves.relu", "waves.tanh", {"relu"}),
        ("kernels.py", "KERNELS = {", 'KERNELS = {"softmax": waves.tanh, ', set()),
        ("waves.py", "LIMIT", "BOUND", {"relu"}),  # the statement that also sets SLOPE
        ("options.py", "{}", "{1: 2}", {"relu", "sigmoid", "tanh", "interpreter"}),
        ("compiler.py", "1", "2", {"relu", "sigmoid", "tanh", "interpreter"}),
        ("intrinsics.py", "1", "2", {"relu", "sigmoid", "tanh"}),
        ("interpreter.py", "1", "2", {"interpreter"}),
    ],
)
def test_an_edit_changes_the_units_that_reach_it(path, old, new, changed):
    assert old in SOURCES[path]
    before, after = SourceGraph(SOURCES), SourceGraph(SOURCES | {path: SOURCES[path].replace(old, new)})
    assert {unit.partition("-")[0] for unit in UNITS if before.digest(unit) != after.digest(unit)} == changed


def test_a_table_that_is_no_literal_reaches_all_that_it_names():
    sources = SOURCES | {"kernels.py": "KERNELS = {f.__name__: f for f in (waves.relu, waves.sigmoid)}"}
    edited = sources | {"waves.py": WAVES.replace("1 + exp", "2 + exp")}
    assert SourceGraph(sources).digest("relu-float32") != SourceGraph(edited).digest("relu-float32")
    edited = sources | {"waves.py": WAVES.replace("half(x[0])", "half(x[1])")}
    assert SourceGraph(sources).digest("relu-float32") == SourceGraph(edited).digest("relu-float32")


def test_dtypes_and_contracts_differ():
    graph = SourceGraph(read_sources())
    assert len({graph.digest(unit) for unit in ("relu-float32", "relu-float64", "sigmoid-float32", "interpreter")}) == 4


@pytest.mark.parametrize("name", ["CPU_NAME", "CPU_FEATURES", "ENABLE_AVX", "OPT", "BOUNDSCHECK"])
def test_variables_that_steer_numba_count(monkeypatch, name):
    monkeypatch.delenv(f"NUMBA_{name}", raising=False)
    before = environment()
    monkeypatch.setenv(f"NUMBA_{name}", "0")
    assert environment() != before


def test_the_processor_counts(monkeypatch):
    before = environment()
    monkeypatch.setattr(llvm, "get_host_cpu_name", lambda: "another")
    assert environment() != before


def test_the_index_is_used_and_mended(tmp_path, monkeypatch):
    first = unit_digests(UNITS, tmp_path)
    (index,) = tmp_path.iterdir()
    for damage in ("{", "[1]", '{"relu-float32": 3}', ""):
        index.write_text(damage)
        assert unit_digests(UNITS, tmp_path) == first
    monkeypatch.setattr(digests, "SourceGraph", None)  # whoever parses, fails
    assert unit_digests(UNITS[:2], tmp_path) == {unit: first[unit] for unit in UNITS[:2]}
    assert unit_digests([], None) == {}
