"""Every instruction on the device against the reference, under the tolerance table of all targets; the same bits for any number of
blocks."""

from __future__ import annotations

import pytest
from numpy.typing import NDArray

from tests.kernels.case import Case, assert_close, expected, guards_intact
from tests.kernels.cases import CASES

DTYPES = ("float32", "float64")


def run(case: Case, operands: dict[str, NDArray | None], dtype: str, workers: int) -> None:
    """Run the case on the device."""
    from fastnn_kernels.cuda.execute import execute

    given = {name: array for name, array in operands.items() if name != "scratch"}
    execute(case.op, given, case.all_attributes(), dtype=dtype, workers=workers)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cuda_equals_reference(case: Case, dtype: str) -> None:
    operands = case.operands(dtype)
    before = {name: None if array is None else array.tobytes() for name, array in operands.items()}
    wanted = expected(case, operands)
    run(case, operands, dtype, workers=1)
    one = {name: array.tobytes() for name, array in operands.items() if array is not None}
    for spec in case.instruction.operands:
        array = operands[spec.name]
        if array is None:
            continue
        assert guards_intact(array), f"{spec.name}: written outside"
        if spec.writes:
            assert_close(case, spec.name, array, wanted[spec.name])
        else:
            assert array.tobytes() == before[spec.name], f"{spec.name}: an input was changed"
    again = case.operands(dtype)
    run(case, again, dtype, workers=3)
    assert one == {name: array.tobytes() for name, array in again.items() if array is not None}
