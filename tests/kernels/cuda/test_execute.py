"""One instruction on the device, through the same checks as on the CPU."""

from functools import partial

import numpy as np
import pytest
from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.selftest.case import check
from fastnn_kernels.selftest.cases import CASES

RELU = {"negative_slope": 0.0, "max_value": np.inf, "threshold": 0.0}


def execute(*arguments, **options):
    from fastnn_kernels.cuda.execute import execute

    execute(*arguments, **options)


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_relu(dtype, workers):
    x = np.linspace(-1, 1, 301).astype(dtype)
    out = np.full_like(x, np.nan)
    execute("relu", {"x": x, "out": out}, RELU, dtype=dtype, workers=workers)
    np.testing.assert_array_equal(out, np.maximum(x, 0))


@pytest.mark.parametrize("index", [None, np.array([3, 0, 4, 1, 2])], ids=["in order", "by index"])
def test_optional_operand(index):
    data = np.arange(35, dtype=np.uint8).reshape(5, 7)
    control, out = np.array([0, 1, 4, 0, 0, 0, 0, 0]), np.zeros((3, 7), np.uint8)
    execute("take_rows", {"data": data, "index": index, "control": control, "out": out}, {})
    np.testing.assert_array_equal(out, data[1:4] if index is None else data[index[1:4]])


def test_wrong_dtype():
    with pytest.raises(ValueError, match="operand 'x' is int64; relu takes float32 here"):
        execute("relu", {"x": np.arange(3), "out": np.zeros(3, np.float32)}, RELU)


SMALL = [case for case in CASES if max(case.sizes.values(), default=0) <= 70]
ONE_OF_EACH = {case.op: case for case in SMALL}


def test_every_instruction_has_a_small_case():
    assert ONE_OF_EACH.keys() == INSTRUCTIONS.keys()


@pytest.mark.parametrize("case", ONE_OF_EACH.values(), ids=str)
def test_operands_anywhere_in_memory(case):
    """A weight may lie behind any other: addresses that suit 128-bit accesses change the speed alone."""
    check(case, partial(execute, shift=1), "float32", workers=(1,))
    results = []
    for shift in (0, 1):
        given = {name: array for name, array in case.operands("float32").items() if name != "scratch"}
        execute(case.op, given, case.all_attributes(), shift=shift)
        results.append({name: None if array is None else array.tobytes() for name, array in given.items()})
    assert results[0] == results[1]
