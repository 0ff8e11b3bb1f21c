"""Every instruction on the device against the reference, under the tolerance table of all targets; the same bits for any number of
blocks."""

from __future__ import annotations

import os
from math import prod

import pytest
from fastnn_kernels.instructions import INSTRUCTIONS, PRODUCTS
from fastnn_kernels.selftest.case import Case, check
from fastnn_kernels.selftest.cases import CASES

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")

DTYPES = ("float32", "float64")

SIMULATED_PRODUCTS = {"float32": 50_000, "float64": 20_000}
"""The largest ``M * K * N`` of a product that is simulated; those of float64 take one kind of tile alone. `QUICK` ones are all."""

QUICK = ("matmul_bfloat16", "rows of whole chunks")
"""Those that tensor cores take: a thread of the simulator does more at a time."""


def chosen() -> list[tuple[Case, str]]:
    """All cases in both dtypes; the simulator, thousands of times as slow, runs each in one of them, and no long product."""
    pairs = [(case, dtype) for case in CASES for dtype in DTYPES]
    if not SIMULATED:
        return pairs
    others = [case for case in CASES if case.op not in PRODUCTS]
    return [(case, DTYPES[number % 2]) for number, case in enumerate(others)] + [pair for pair in pairs if is_short_product(*pair)]


def is_short_product(case: Case, dtype: str) -> bool:
    if case.op not in PRODUCTS or (case.op == QUICK[0] and dtype == "float64"):  # the same as float32
        return False
    size = prod(case.sizes[letter] for letter in "MN") * case.reduction_length()
    return size <= SIMULATED_PRODUCTS[dtype] or (case.op == QUICK[0] and case.path.startswith(QUICK[1]))


@pytest.mark.parametrize(("case", "dtype"), chosen(), ids=str)
def test_cuda_equals_reference_with_any_number_of_blocks(case: Case, dtype: str) -> None:
    from fastnn_kernels.cuda.execute import execute

    check(case, execute, dtype, workers=(1, 3))


def test_every_instruction_is_chosen() -> None:
    from fastnn_kernels.cuda.kernels import KERNELS

    assert {case.op for case, _ in chosen()} == set(INSTRUCTIONS) == set(KERNELS)
