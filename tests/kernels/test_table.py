"""The instruction set: how contract lines are read, and that every target and test follows them."""

from __future__ import annotations

import inspect

import pytest
from fastnn_kernels.instructions import INSTRUCTIONS, ROW_OPERANDS, ROW_WORDS, Instruction, OperandSpec, parse
from fastnn_kernels.reference.kernels import KERNELS
from fastnn_kernels.selftest.cases import CASES


def test_contract_line() -> None:
    found = parse("example", "x (M, K) f, bias? (N,) f -> out~ (M, 3) f, total?+ (2,) f8; accumulate i, epsilon d")
    assert found.operands == (
        OperandSpec("x", ("M", "K"), "f", reads=True, writes=False, optional=False, accumulates=False),
        OperandSpec("bias", ("N",), "f", reads=True, writes=False, optional=True, accumulates=False),
        OperandSpec("out", ("M", 3), "f", reads=False, writes=True, optional=False, accumulates=True),
        OperandSpec("total", (2,), "f8", reads=True, writes=True, optional=True, accumulates=False),
    )
    assert found.attributes == (("accumulate", "i"), ("epsilon", "d"))
    assert found.dimensions == ("M", "K", "N")


def test_contract_line_without_inputs() -> None:
    found = parse("example", "-> control+ (8,) i8; batch i", parallel=False)
    assert [spec.name for spec in found.operands] == ["control"]
    assert not found.parallel


def test_contract_line_that_does_not_fit_a_row() -> None:
    operands = ", ".join(f"x{number} ({letter},) f" for number, letter in enumerate("ABCDEFGHIJKLMNOP"))
    words = ROW_OPERANDS + 17 + 16 + 1
    with pytest.raises(ValueError, match=f"'example' needs {words} words, a row has {ROW_WORDS}"):
        parse("example", f"{operands} -> out~ (A,) f; accumulate i")


@pytest.mark.parametrize("entry", INSTRUCTIONS.values(), ids=lambda entry: entry.name)
def test_instruction_fits_a_row(entry: Instruction) -> None:
    assert ROW_OPERANDS + len(entry.operands) + len(entry.dimensions) + len(entry.attributes) <= ROW_WORDS
    assert any(spec.writes for spec in entry.operands)
    assert any(spec.accumulates for spec in entry.operands) == ("accumulate" in dict(entry.attributes))


@pytest.mark.parametrize("entry", INSTRUCTIONS.values(), ids=lambda entry: entry.name)
def test_reference_follows_the_contract_line(entry: Instruction) -> None:
    parameters = list(inspect.signature(KERNELS[entry.name]).parameters)
    assert parameters == [spec.name for spec in entry.operands] + [name for name, _ in entry.attributes]


@pytest.mark.parametrize("entry", INSTRUCTIONS.values(), ids=lambda entry: entry.name)
def test_instruction_has_cases(entry: Instruction) -> None:
    """Every optional operand is once there and once not, and a gradient is once accumulated."""
    cases = [case for case in CASES if case.op == entry.name]
    assert cases
    for spec in entry.operands:
        if spec.optional:
            assert {spec.name in case.absent for case in cases} == {True, False}, spec.name
    if "accumulate" in dict(entry.attributes):
        assert {case.all_attributes()["accumulate"] for case in cases} == {0, 1}


def test_reference_has_exactly_the_instructions() -> None:
    assert KERNELS.keys() == INSTRUCTIONS.keys()
