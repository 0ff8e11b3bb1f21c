"""Every instruction on every target against the reference, under one tolerance table; the same bits for any number of workers."""

from __future__ import annotations

import numpy as np
import pytest
from fastnn_kernels.cpu.execute import execute
from fastnn_kernels.instructions import INSTRUCTIONS, NO_CLASS, REDUCTION_WEIGHTED_MEAN
from numpy.typing import NDArray

from tests.kernels.case import Case, assert_close, expected, guards_intact
from tests.kernels.cases import CASES

DTYPES = ("float32", "float64")
WORKERS = (1, 2, 3, 7)


def run(case: Case, operands: dict[str, NDArray | None], dtype: str, workers: int) -> None:
    """Run the case on the cpu target."""
    given = {name: array for name, array in operands.items() if name != "scratch"}
    execute(case.op, given, case.all_attributes(), dtype=dtype, workers=workers)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cpu_equals_reference(case: Case, dtype: str) -> None:
    operands = case.operands(dtype)
    before = {name: None if array is None else array.tobytes() for name, array in operands.items()}
    wanted = expected(case, operands)
    run(case, operands, dtype, workers=1)
    for spec in case.instruction.operands:
        array = operands[spec.name]
        if array is None:
            continue
        assert guards_intact(array), f"{spec.name}: written outside"
        if spec.writes:
            assert_close(case, spec.name, array, wanted[spec.name])
        else:
            assert array.tobytes() == before[spec.name], f"{spec.name}: an input was changed"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_same_bits_for_any_number_of_workers(case: Case, dtype: str) -> None:
    results = []
    for workers in WORKERS:
        operands = case.operands(dtype)
        run(case, operands, dtype, workers)
        results.append({name: array.tobytes() for name, array in operands.items() if array is not None})
    for workers, result in zip(WORKERS[1:], results[1:], strict=True):
        assert result == results[0], f"{workers} workers"


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
