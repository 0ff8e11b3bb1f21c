"""The arrays that a kernel works on, by its contract line: the same for every library that runs it."""

from __future__ import annotations

from typing import Any

import numpy as np
from fastnn_kernels.instructions import CONTROL_WORDS, INSTRUCTIONS, RATES, Instruction, OperandSpec
from fastnn_kernels.reference.bfloat16 import to_bfloat16
from numpy.typing import NDArray

ADAM = {"beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-7}
RMSPROP = {"rho": 0.9, "epsilon": 1e-7}
"""Keras 3's defaults, for everybody. Keras writes RMSprop's step as ``lr * g / sqrt(v + epsilon)``."""

LEARNING_RATE = 1e-3

STREAMS = ("copy", "scale", "update", "read")
"""Loops that are no instructions: out = x, out = 2 x, out = out / 2 + x, the sum of x."""

LEFT_OUT = {"weight", "velocity", "momentums", "average_gradient", "v_hat"}
"""Optional operands that no row of the table gives."""

BEFORE_FIRST_STEP = -1

ITEM_BYTES = {"u1": 1, "b2": 2, "i8": 8, "f8": 8}
"""Of the dtypes of a contract line; the others have 4."""

PROBABILITIES = {
    **dict.fromkeys(("sigmoid_backward", "tanh_backward", "softmax_backward"), ("out",)),
    **dict.fromkeys(("sigmoid_cross_entropy", "softmax_cross_entropy_dense"), ("target",)),
    **dict.fromkeys(("binary_cross_entropy", "categorical_cross_entropy", "sparse_categorical_cross_entropy"), ("pred", "target")),
    **dict.fromkeys(("categorical_accuracy", "sparse_categorical_accuracy"), ("pred", "target")),
}
"""Operands that are probabilities, by instruction; the rows of a matrix of them add up to 1."""


def operands(op: str) -> list[OperandSpec]:
    """The operands that a row of the table gives, in the contract's order."""
    return [each for each in INSTRUCTIONS[op].operands if not (each.optional and each.name in LEFT_OUT)]


def result_name(op: str) -> str:
    """The operand that is compared: the gradient, where there is one; else the first that is written."""
    written = [each for each in operands(op) if each.writes]
    return next((each.name for each in written if each.accumulates), written[0].name)


def sizes(instruction: Instruction, shape: tuple[int, ...]) -> dict[str, int]:
    """The dimension letters, in order of first appearance, bound to ``shape``."""
    return dict(zip(instruction.dimensions, shape, strict=True))


def streamed(op: str, shape: tuple[int, ...]) -> int:
    """Bytes that the kernel moves at least: what it reads and what it writes, each once; labels and values of rows left out."""
    bound, total = sizes(INSTRUCTIONS[op], shape), 0
    largest = max(_count(each, bound) for each in operands(op))
    for each in operands(op):
        if _count(each, bound) == largest:
            total += (each.reads + each.writes) * largest * ITEM_BYTES.get(each.dtype, 4)
    return total


def _count(operand: OperandSpec, bound: dict[str, int]) -> int:
    count = 1
    for size in operand.shape:
        count *= size if isinstance(size, int) else bound[size]
    return count


def draw(op: str, shape: tuple[int, ...], generator: np.random.Generator) -> dict[str, Any]:
    """The operands of instruction ``op``, its dimension letters bound to ``shape`` in order; outputs are written once."""
    bound = sizes(INSTRUCTIONS[op], shape)
    found = {}
    for each in operands(op):
        sized = tuple(size if isinstance(size, int) else bound[size] for size in each.shape)
        found[each.name] = _array(op, each, sized, bound, generator)
    return found


def _array(
    op: str, operand: OperandSpec, shape: tuple[int, ...], bound: dict[str, int], generator: np.random.Generator
) -> NDArray[Any]:
    """Random values of the kind that the operand holds."""
    name = operand.name
    if name in ("m", "v", "velocity", "accumulator", "total"):
        return np.zeros(shape, np.float64 if operand.dtype == "f8" else np.float32)
    special: dict[str, Any] = {
        "rates": lambda: np.array(
            [LEARNING_RATE, LEARNING_RATE * (1 - ADAM["beta_2"]) ** 0.5 / (1 - ADAM["beta_1"]), 0, 0][:RATES]
        ),
        "learning_rate": lambda: np.full(shape, LEARNING_RATE),
        "scale": lambda: np.full(1, 1 / bound.get("M", 1), np.float32),
        "labels": lambda: generator.integers(bound.get("C", 10), size=shape, dtype=np.int32),
        "index": lambda: generator.permutation(shape[0]),
        "state": lambda: generator.integers(2**62, size=1),
        "control": lambda: np.full(CONTROL_WORDS, BEFORE_FIRST_STEP if op == "shuffle" else 0),
    }
    if name in special:
        return special[name]()
    if operand.dtype == "u1":
        return generator.integers(256, size=shape, dtype=np.uint8)
    values = generator.standard_normal(shape, np.float32)
    if operand.dtype == "b2":
        return bits(values)
    if op == "binary_accuracy" and name == "target":
        return (values > 0).astype(np.float32)
    if op == "log_softmax_backward" and name == "out":
        return np.log(_normalized(values))
    return _normalized(values) if name in PROBABILITIES.get(op, ()) else values


def bits(values: NDArray[Any]) -> NDArray[np.uint16]:
    """The nearest bfloat16 numbers, as instructions have them."""
    out = np.empty(values.shape, np.uint16)
    to_bfloat16(values, out)
    return out


def _normalized(values: NDArray[Any]) -> NDArray[Any]:
    """Within (0, 1); the rows of a matrix add up to 1."""
    np.negative(values, out=values)
    np.exp(values, out=values)
    if values.ndim == 1:
        return 1 / (1 + values)
    values /= values.sum(axis=1, keepdims=True)
    return values
