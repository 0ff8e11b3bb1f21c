"""Program: what `verify` refuses, how `disassemble` prints, what rows and operands say about themselves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fastnn.program import BATCH, SAMPLES, SCRATCH, InputSlot, Operand, Program, Row, Size, WeightSlot

CONTROL = Operand("control", 0, (8,), "i8")
SCRATCHPAD = Operand("scratch", 0, (SCRATCH,), "f")


def activation(offset: int, *shape: Size) -> Operand:
    """Floats of the program's dtype in ``activations``."""
    return Operand("activations", offset, shape, "f")


def relu(x: Operand | None, out: Operand | None, **changes: float) -> Row:
    """A row of ``relu``."""
    attributes = {"negative_slope": 0.0, "max_value": 6.0, "threshold": 0.0} | changes
    return Row("relu", (x, out), tuple(attributes.values()))


X, HIDDEN, OUT = activation(0, BATCH * 2), activation(8, BATCH * 3), activation(20, BATCH * 3)
KERNEL = Operand("params", 0, (2, 3), "f")
TAKE = Row(
    "take_rows",
    (Operand("inputs", 0, (SAMPLES, 8), "u1"), None, CONTROL, Operand("activations", 0, (BATCH, 8), "u1")),
)
MATMUL = Row(
    "matmul",
    (activation(0, BATCH, 2), KERNEL, None, SCRATCHPAD, activation(8, BATCH, 3)),
    (0, 0, 0, 0.0, 0, 0),
)
PROGRAM = Program(
    kind="predict",
    dtype="float32",
    rows=(TAKE, MATMUL, replace(relu(HIDDEN, OUT), barrier=True)),
    inputs=(InputSlot("x", (2,), "f"),),
    weights=(WeightSlot("kernel", (2, 3)),),
    bytes={"control": 64, "activations": 32},
)


def refusal(*rows: Row) -> str:
    """What `verify` says about a program of ``rows``."""
    with pytest.raises(ValueError, match="row") as caught:
        replace(PROGRAM, rows=rows).verify()
    return str(caught.value)


def test_verify_accepts_a_right_program() -> None:
    PROGRAM.verify()


def test_refusal_names_the_row() -> None:
    assert refusal(TAKE, MATMUL, relu(HIDDEN, None)).startswith("row 2 (relu): ")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Row("relu", (X,), (0.0, 6.0, 0.0)), "expected the operands and attributes of 'x (N,) f -> out (N,) f; negative_slope d"),
        (Row("relu", (X, X), (0.0,)), "expected the operands and attributes of 'x (N,) f -> out (N,) f; negative_slope d"),
        (relu(None, OUT), "operand 'x' is missing"),
        (relu(X, replace(X, dtype="i4")), "operand 'out' is i4, the contract says f"),
        (relu(activation(0, BATCH, 2), X), "operand 'x' has shape (Symbol(name='B', multiple=1), 2), the contract says ('N',)"),
        (relu(X, OUT), "operand 'out': dimension N is 3B, elsewhere 2B"),
        (Row("next_batch", (replace(CONTROL, shape=(4,)),), (BATCH,)), "operand 'control': dimension 8 is 4, elsewhere 8"),
        (relu(X, Operand("heap", 0, X.shape, "f")), "operand 'out': unknown segment 'heap'"),
        (relu(X, replace(X, offset=28)), "operand 'out' ends at byte 36 of activations, past its end"),
        (Row("next_batch", (replace(CONTROL, offset=8),), (BATCH,)), "operand 'control' ends at byte 72 of control, past its end"),
        (relu(X, replace(X, segment="grads")), "operand 'out' ends at byte 8 of grads, past its end"),
        (relu(Operand("params", 1, (6,), "f"), Operand("params", 0, (6,), "f")), "operand 'x': params has 1 entries, not 2"),
        (relu(Operand("inputs", 3, (6,), "f"), Operand("params", 0, (6,), "f")), "operand 'x': inputs has 1 entries, not 4"),
        (relu(Operand("inputs", -1, (6,), "f"), Operand("params", 0, (6,), "f")), "operand 'x': inputs has 1 entries, not 0"),
        (relu(OUT, OUT), "operand 'x' is read before it is written"),
        (relu(activation(4, BATCH * 2), X), "operand 'x' is read before it is written"),
    ],
)
def test_verify_refuses(row: Row, message: str) -> None:
    assert f"row 1 ({row.op}): {message}" in refusal(TAKE, row)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((0, 1), "cannot multiply (B, 2) by (3, 2) into (B, 3)"),
        ((1, 0), "cannot multiply (2, B) by (2, 3) into (B, 3)"),
    ],
)
def test_verify_refuses_a_product(flags: tuple[int, int], message: str) -> None:
    assert refusal(TAKE, replace(MATMUL, attributes=(*flags, 0, 0.0, 0, 0))).endswith(message)


def test_verify_wants_something_to_accumulate_into() -> None:
    accumulate = replace(MATMUL, attributes=(0, 0, 0, 0.0, 1, 0))
    assert "operand 'out' is read before it is written" in refusal(TAKE, accumulate)
    replace(PROGRAM, rows=(TAKE, MATMUL, accumulate)).verify()


def test_disassemble() -> None:
    lines = PROGRAM.disassemble().splitlines()
    assert lines[0] == "predict program, float32, 3 rows; bytes: control 64, activations 32 (activations per sample)"
    assert (
        lines[1] == "  0   take_rows                    data=inputs[0](N, 8)u1 control=control[0](8)i8 out=activations[0](B, 8)u1"
    )
    assert "a=activations[0](B, 2)f b=params[0](2, 3)f scratch=scratch[0](Z)f out=activations[8](B, 3)f transpose_a=0" in lines[2]
    assert lines[3].split() == [
        *("2", "|", "relu", "x=activations[8](3B)f", "out=activations[20](3B)f"),
        *("negative_slope=0.0", "max_value=6.0", "threshold=0.0"),
    ]


def test_symbols_multiply() -> None:
    assert str(BATCH * 3 * 2) == "6B"
    assert BATCH * 1 == BATCH
    assert BATCH * 2 != SAMPLES * 2


def test_attribute_by_name() -> None:
    assert PROGRAM.rows[2].attribute("max_value") == 6.0


@pytest.mark.parametrize(("dtype", "size"), [("float32", 24), ("float64", 48)])
def test_operand_bytes(dtype: str, size: int) -> None:
    program = replace(PROGRAM, dtype=dtype)
    assert program.operand_bytes(KERNEL) == size
    assert program.operand_bytes(activation(0, BATCH, 2, 3)) == size
    assert program.operand_bytes(CONTROL) == 64


@pytest.mark.parametrize("accumulate", [0, 1])
def test_accesses(accumulate: int) -> None:
    row = replace(MATMUL, attributes=(0, 0, 0, 0.0, accumulate, 0))
    found = {spec.name: (reads, writes) for spec, _, reads, writes in row.accesses()}
    assert found == {"a": (True, False), "b": (True, False), "scratch": (True, False), "out": (bool(accumulate), True)}
