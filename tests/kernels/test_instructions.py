"""Every instruction on every target against the reference, under one tolerance table; the same bits for any number of workers."""

from __future__ import annotations

import numpy as np
import pytest
from fastnn_kernels.cpu.execute import execute
from fastnn_kernels.instructions import INSTRUCTIONS, NO_CLASS, REDUCTION_WEIGHTED_MEAN
from fastnn_kernels.selftest.case import Case, check
from fastnn_kernels.selftest.cases import CASES
from fastnn_kernels.units import unit_name

DTYPES = ("float32", "float64")
WORKERS = (1, 2, 3, 7)


OF_BOTH = [(case, dtype) for case in CASES for dtype in DTYPES if dtype == "float32" or "-" in unit_name(case.op, dtype)]
"""Every case, in both dtypes unless its instruction has dtypes of its own."""


@pytest.mark.parametrize(("case", "dtype"), OF_BOTH, ids=str)
def test_cpu_equals_reference_with_any_number_of_workers(case: Case, dtype: str) -> None:
    check(case, execute, dtype, WORKERS)


def _writes_outside(name, operands, *_, **__):
    array = operands["out"]
    np.ndarray(array.shape, array.dtype, buffer=array.base, offset=0)[...] = 0


def _changes_its_input(name, operands, *arguments, **options):
    execute(name, operands, *arguments, **options)
    operands["x"][:] = 0


def _differs_by_workers(name, operands, *arguments, workers, **options):
    execute(name, operands, *arguments, workers=workers, **options)
    operands["out"][0] += np.float32(1e-7) * (workers > 1)


def _does_nothing(*_, **__):
    pass


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (_does_nothing, "out"),
        (_writes_outside, "out: written outside"),
        (_changes_its_input, "x: an input was changed"),
        (_differs_by_workers, "out: 2 workers give other bits than 1"),
    ],
)
def test_what_is_wrong_is_noticed(wrong, message) -> None:
    case = next(case for case in CASES if case.op == "sigmoid")
    with pytest.raises(AssertionError, match=message):
        check(case, wrong, "float32", WORKERS)


def test_cpu_has_exactly_the_instructions() -> None:
    from fastnn_kernels.cpu.kernels import KERNELS

    assert KERNELS.keys() == INSTRUCTIONS.keys()


def test_poison_is_not_a_number() -> None:
    """An output that a kernel leaves out is noticed: it is NaN, or -1."""
    case = next(case for case in CASES if case.op == "relu")
    assert np.isnan(case.operands("float32")["out"]).all()


def test_sums_of_totals_run_in_the_order_of_the_rows():
    """1e16 + 1 is 1e16: what is added between the large numbers is lost, what comes after the second one is not."""
    value = np.array([1e16, *[1.0] * 63, -1e16, *[1.0] * 63])
    total = np.zeros(2)
    execute("accumulate_mean", {"value": value, "total": total}, {}, dtype="float64")
    assert total.tolist() == [63.0, 128.0]
    scale = np.zeros(1)
    attributes = {"rows": 128, "reduction": REDUCTION_WEIGHTED_MEAN, "factor": 63.0, "ignore_class": NO_CLASS}
    execute("loss_scale", {"weight": value, "scale": scale}, attributes, dtype="float64")
    assert scale.tolist() == [1.0]


@pytest.mark.parametrize("classes", [10, 100])
def test_large_logits_cost_a_cross_entropy_no_digits(classes):
    logits = (1e4 + np.linspace(-1, 1, 4 * classes)).reshape(4, classes).astype(np.float32)
    target = np.eye(classes, dtype=np.float32)[:4]
    loss = np.empty(4, np.float32)
    operands = {"logits": logits, "target": target, "loss": loss}
    execute("softmax_cross_entropy_dense", operands, {"label_smoothing": 0.0, "accumulate": 0})
    shifted = logits.astype(float) - logits.max(axis=1, keepdims=True)
    exact = np.log(np.exp(shifted).sum(axis=1)) - (shifted * target).sum(axis=1)
    np.testing.assert_allclose(loss, exact, rtol=1e-6)
