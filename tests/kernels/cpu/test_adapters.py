"""Adapters: what a kernel sees of a row, and what may not be left in its object."""

import numpy as np
import pytest
from fastnn_kernels.cpu.adapters import adapter_source
from fastnn_kernels.cpu.execute import execute
from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.reference import execute as reference
from fastnn_kernels.units import INTERPRETER, split_unit, symbol, unit_name


@pytest.mark.parametrize("op", INSTRUCTIONS)
def test_every_instruction_has_an_adapter(op):
    source = adapter_source(INSTRUCTIONS[op], "float64")
    compile(source, op, "exec")
    assert source.count("array_") == len(INSTRUCTIONS[op].operands)
    assert source.count("array_float32") == sum(spec.dtype == "f4" for spec in INSTRUCTIONS[op].operands)


def test_units_are_named_by_dtype_where_it_matters():
    assert unit_name("relu", "float64") == "relu-float64"
    assert unit_name("take_rows", "float64") == "take_rows"
    assert split_unit("relu-float64") == ("relu", "float64")
    assert split_unit("take_rows") == ("take_rows", "float32")
    assert symbol("relu-float64") == "fastnn_relu_float64"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("given", [True, False])
def test_a_kernel_sees_shapes_values_attributes_and_absence(instructions, dtype, given):
    x, out, seen = np.arange(12, dtype=dtype).reshape(3, 4), np.zeros((3, 4), dtype), np.full(16, -9.0)
    optional = {
        "labels": np.array([7, 8], np.int32),
        "index": np.array([-5, 2**40]),
        "raw": np.array([1, 250, 3], np.uint8),
        "exact": np.array([[0.1, 0.2], [0.3, 0.4]]),
    }
    operands = {"x": x, "seen": seen, "out": out, **(optional if given else {})}
    execute("test_probe", operands, {"scale": 1.5, "accumulate": 1}, dtype=dtype)
    sizes, values = ([2, 2, 3, 2, 2], [8, 2**40, 250, 0.4]) if given else ([0, 0, 0, 0, 0], [-1, -1, -1, -1])
    np.testing.assert_array_equal(seen, [3, 4, *sizes, 3, 6, *values, 1.5, 1, -9])
    assert out[0, 0] == np.dtype(dtype).itemsize


def test_a_serial_instruction_runs_on_worker_0_alone(instructions):
    log = np.zeros(8, np.int64)
    execute("test_note", {"log": log}, {"value": 5}, workers=3)
    np.testing.assert_array_equal(log, [1, 5, 0, 0, 0, 0, 0, 0])


@pytest.mark.parametrize("unit", [INTERPRETER, "test_scale-float32", "test_note", "test_probe-float64"])
def test_no_exception_and_no_status_is_left(instructions, unit):
    from fastnn_kernels.cpu.compiler import compile_module

    module = compile_module(unit)
    text = str(module)
    assert symbol(unit) in text
    assert not any(word in text for word in ("picklebuf", "PyErr", "Py_", "NRT_", "numba_gil"))
    declared = {value.name for value in module.functions if value.is_declaration}
    assert all(name.startswith("llvm.") for name in declared)
    assert "ret i32" not in text  # Numba's functions return their status as i32


def test_a_kernel_that_can_raise_is_refused(instructions):
    from fastnn_kernels.cpu.compiler import compile_module

    with pytest.raises(RuntimeError, match="unit 'test_raise' can raise an exception"):
        compile_module("test_raise")


def test_a_kernel_that_allocates_is_refused(instructions):
    from fastnn_kernels.cpu.compiler import compile_module
    from numba.core.errors import NumbaError

    with pytest.raises(NumbaError, match="Only accept returning of array passed"):
        compile_module("test_allocate")


def test_numba_switched_off_is_said(instructions, monkeypatch):
    import numba
    from fastnn_kernels.cpu.compiler import compile_module

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    with pytest.raises(RuntimeError, match="NUMBA_DISABLE_JIT"):
        compile_module("test_note")


X, OUT, LONG = np.ones(3, np.float32), np.ones(3, np.float32), np.arange(4, dtype=np.float32)
READ_ONLY = np.frombuffer(bytes(12), np.float32)
FACTOR = {"factor": 1.0}


@pytest.mark.parametrize(
    ("operands", "attributes", "message"),
    [
        ({"x": X}, {"factor": 1.0}, "test_scale needs operand 'out'"),
        ({"x": X, "out": OUT, "y": X}, {"factor": 1.0}, "test_scale has no operand 'y'"),
        ({"x": X, "out": OUT.astype(float)}, {"factor": 1.0}, "operand 'out' is float64; test_scale takes float32 here"),
        ({"x": X, "out": OUT[:2]}, {"factor": 1.0}, r"operand 'out' has shape \(2,\), but N is 3"),
        ({"x": X, "out": OUT.reshape(3, 1)}, {"factor": 1.0}, r"operand 'out' has shape \(3, 1\); test_scale takes \('N',\)"),
        ({"x": X, "out": np.ones(6, np.float32)[::2]}, {"factor": 1.0}, "operand 'out' must be C-contiguous"),
        ({"x": X, "out": OUT}, {}, r"test_scale takes the attributes \['factor'\], not \[\]"),
        ({"x": [1.0, 2.0, 3.0], "out": OUT}, FACTOR, "operand 'x' must be a NumPy array, got list"),
        ({"x": X, "out": READ_ONLY}, FACTOR, "operand 'out' is read-only; test_scale writes it"),
        ({"x": X, "out": X}, FACTOR, "operands 'x' and 'out' share memory, and one is written; give each its own"),
        ({"x": LONG[:3], "out": LONG[1:]}, FACTOR, "operands 'x' and 'out' share memory"),
        ({"x": X, "out": OUT}, {"factor": None}, "factor must be a number, got None"),
        ({"x": X, "out": OUT}, {"factor": np.nan}, "factor must be a number, got nan"),
    ],
)
@pytest.mark.parametrize("execute", [execute, reference.execute], ids=["cpu", "reference"])
def test_execute_refuses(instructions, execute, operands, attributes, message):
    with pytest.raises((TypeError, ValueError), match=message):
        execute("test_scale", operands, attributes)


@pytest.mark.parametrize("execute", [execute, reference.execute], ids=["cpu", "reference"])
@pytest.mark.parametrize(
    ("name", "workers", "message"),
    [
        ("rleu", 1, "there is no instruction 'rleu'; did you mean 'relu'?"),
        ("convolution", 1, "there is no instruction 'convolution'$"),
        ("relu", 0, "workers must be an integer from 1 to 1024, got 0"),
        ("relu", 10**6, "workers must be an integer from 1 to 1024, got 1000000"),
        ("relu", 1.5, "workers must be an integer from 1 to 1024, got 1.5"),
    ],
)
def test_execute_refuses_names_and_workers(execute, name, workers, message):
    attributes = {"negative_slope": 0.0, "max_value": np.inf, "threshold": 0.0}
    with pytest.raises((TypeError, ValueError), match=message):
        execute(name, {"x": X, "out": OUT}, attributes, workers=workers)


def test_integer_attributes_are_integers():
    operands = {"a": X.reshape(1, 3), "b": X.reshape(3, 1), "out": np.empty((1, 1), np.float32)}
    attributes = {"transpose_a": 0, "transpose_b": 0, "activation": 1.5, "negative_slope": 0.0, "accumulate": 0, "precision": 0}
    with pytest.raises(TypeError, match=r"activation must be an integer from .*, got 1\.5"):
        execute("matmul", operands, attributes)


def test_neighbours_in_memory_do_not_share_it(instructions):
    memory = np.arange(6, dtype=np.float32)
    execute("test_scale", {"x": memory[:3], "out": memory[3:]}, {"factor": 2.0})
    assert memory.tolist() == [0, 1, 2, 0, 2, 4]
