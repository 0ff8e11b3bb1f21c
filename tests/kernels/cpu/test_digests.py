"""What a unit's digest depends on: the source it reaches, no other; and what Numba compiles for."""

import llvmlite.binding as llvm
import pytest
from fastnn_kernels import digests
from fastnn_kernels.cpu.digests import CPU, environment, unit_digests
from fastnn_kernels.sources import SourceGraph

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
    polynomial = x[0] * SLOPE
    out[0] = polynomial


@kernel
def sigmoid(x, out, worker, workers):
    out[0] = 1 / (1 + exponential(-x[0]))


@kernel
def tanh(x, out, worker, workers):
    out[0] = half(x[0])


register(exponential, "fast")
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
    "cpu/kernels.py": TABLE,
    "cpu/waves.py": WAVES,
    "cpu/math_.py": MATH,
    "cpu/options.py": OPTIONS,
    "cpu/intrinsics.py": "array_float32 = 1",
    "cpu/compiler.py": "REVISION = 1",
    "cpu/interpreter.py": "from .math_ import half\ndef run(): return half(1)",
}
UNITS = ["relu-float32", "sigmoid-float32", "tanh-float32", "interpreter"]


@pytest.mark.parametrize(
    ("path", "old", "new", "changed"),
    [
        ("cpu/waves.py", "x[0] * SLOPE", "x[0] + SLOPE", {"relu"}),
        ("cpu/waves.py", "0.5", "0.25", {"relu"}),
        ("cpu/math_.py", "DEGREE = 5", "DEGREE = 6", {"sigmoid"}),
        ("cpu/math_.py", "x + degree", "x - degree", {"sigmoid"}),
        ("cpu/math_.py", "x * 0.5", "x * 0.25", {"tanh", "interpreter"}),
        ("cpu/waves.py", "import exp as", "import half as", {"sigmoid", "tanh", "interpreter"}),  # what it registers, too
        ("cpu/kernels.py", "waves.relu", "waves.tanh", {"relu"}),
        ("cpu/kernels.py", "KERNELS = {", 'KERNELS = {"softmax": waves.tanh, ', set()),
        ("cpu/waves.py", '"fast"', '"exact"', {"sigmoid"}),
        ("cpu/waves.py", "LIMIT", "BOUND", {"relu"}),  # the statement that also sets SLOPE
        ("cpu/options.py", "{}", "{1: 2}", {"relu", "sigmoid", "tanh", "interpreter"}),
        ("cpu/compiler.py", "1", "2", {"relu", "sigmoid", "tanh", "interpreter"}),
        ("cpu/intrinsics.py", "1", "2", {"relu", "sigmoid", "tanh"}),
        ("cpu/interpreter.py", "1", "2", {"interpreter"}),
    ],
)
def test_an_edit_changes_the_units_that_reach_it(path, old, new, changed):
    assert old in SOURCES[path]
    before, after = SourceGraph(SOURCES, CPU), SourceGraph(SOURCES | {path: SOURCES[path].replace(old, new)}, CPU)
    assert {unit.partition("-")[0] for unit in UNITS if before.digest_parts(unit) != after.digest_parts(unit)} == changed


def test_a_table_that_is_no_literal_reaches_all_that_it_names():
    sources = SOURCES | {"cpu/kernels.py": "from . import waves\nKERNELS = {f.__name__: f for f in (waves.relu, waves.sigmoid)}"}
    edited = sources | {"cpu/waves.py": WAVES.replace("1 + exp", "2 + exp")}
    assert SourceGraph(sources, CPU).digest_parts("relu-float32") != SourceGraph(edited, CPU).digest_parts("relu-float32")
    edited = sources | {"cpu/waves.py": WAVES.replace("half(x[0])", "half(x[1])")}
    assert SourceGraph(sources, CPU).digest_parts("relu-float32") == SourceGraph(edited, CPU).digest_parts("relu-float32")


def test_dtypes_and_contracts_differ():
    graph = SourceGraph(CPU.read_sources(), CPU)
    assert (
        len({tuple(graph.digest_parts(unit)) for unit in ("relu-float32", "relu-float64", "sigmoid-float32", "interpreter")}) == 4
    )


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
