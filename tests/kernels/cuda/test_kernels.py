"""Every instruction on the device against the reference, under the tolerance table of all targets; the same bits for any number of
blocks."""

from __future__ import annotations

import pytest
from fastnn_kernels.selftest.case import Case, check
from fastnn_kernels.selftest.cases import CASES

DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_cuda_equals_reference_with_any_number_of_blocks(case: Case, dtype: str) -> None:
    from fastnn_kernels.cuda.execute import execute

    check(case, execute, dtype, workers=(1, 3))
