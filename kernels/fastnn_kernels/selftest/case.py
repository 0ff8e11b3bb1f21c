"""One call of an instruction: its operands, what the reference makes of them, and the one tolerance table."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.instructions import (
    INSTRUCTIONS,
    NO_CLASS,
    PRECISION_TENSORFLOAT32,
    PRODUCTS,
    Instruction,
    OperandSpec,
    dtype_name,
)
from fastnn_kernels.reference.bfloat16 import to_bfloat16
from fastnn_kernels.reference.kernels import KERNELS

GUARD = 64
"""Bytes before and after every operand that nobody may touch."""

DEFAULTS = {
    "ignore_class": NO_CLASS,
    "max_value": np.inf,
    "epsilon": 1e-7,
    "factor": 1.0,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "rho": 0.9,
    "kept": 3 * 2**29,
    "scale": 4 / 3,
    **dict.fromkeys(("shared_outer", "middle", "shared_inner", "inner"), 1),
}
"""Attributes that a case does not give; the others are 0."""


@dataclass(frozen=True)
class Case:
    """One call of an instruction: ``path`` says which part of a kernel it reaches."""

    op: str
    path: str
    sizes: dict[str, int]
    absent: tuple[str, ...] = ()
    attributes: dict[str, float] = field(default_factory=dict)
    special: tuple[str, tuple[float, ...]] | None = None

    def __str__(self) -> str:
        return f"{self.op}-{self.path}".replace(" ", "_")

    @property
    def instruction(self) -> Instruction:
        """The entry of the instruction set."""
        return INSTRUCTIONS[self.op]

    def all_attributes(self) -> dict[str, int | float]:
        """Every attribute of the contract line, as its own type."""
        values = {**DEFAULTS, **self.attributes}
        return {name: (int if kind == "i" else float)(values.get(name, 0)) for name, kind in self.instruction.attributes}

    def reads(self, spec: OperandSpec) -> bool:
        """Whether the call reads the operand's old value."""
        return spec.reads or (spec.accumulates and bool(self.all_attributes()["accumulate"]))

    def operands(self, dtype: str) -> dict[str, NDArray | None]:
        """Fresh operands: inputs filled from a fixed seed, outputs poisoned, guards around each."""
        rng = np.random.default_rng(zlib.crc32(str(self).encode()))
        return {spec.name: self._operand(spec, dtype, rng) for spec in self.instruction.operands}

    def _operand(self, spec: OperandSpec, dtype: str, rng: np.random.Generator) -> NDArray | None:
        if spec.name in self.absent:
            return None
        shape = tuple(self.sizes[size] if isinstance(size, str) else size for size in spec.shape)
        array = guarded(shape, dtype_name(spec.dtype, dtype))
        if self.reads(spec) and spec.name != "scratch":
            values = array if spec.dtype != "b2" else np.empty(shape)
            values[...] = fill(self, spec, shape, rng)
            if self.special is not None and spec.name == self.special[0]:
                sprinkle(values, self.special[1])
            if spec.dtype == "b2":
                to_bfloat16(values, array)
        return array

    def reduction_length(self) -> int:
        """How many terms the longest sum of the call has."""
        if self.op in PRODUCTS:
            return self.sizes["A0" if self.all_attributes()["transpose_a"] else "A1"]
        if self.op in ("sum_rows", "accumulate_mean", "accumulate_loss", "loss_scale"):
            return self.sizes.get("M", 1)
        return self.sizes.get("C", 1)


def guarded(shape: tuple[int, ...], dtype: str) -> NDArray:
    """An array of 0xFF bytes (NaN, -1) inside a longer buffer of them, aligned to 64 bytes."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    buffer = np.full(size + 3 * GUARD, 0xFF, np.uint8)
    start = GUARD + -(buffer.ctypes.data + GUARD) % 64
    return buffer[start : start + size].view(dtype).reshape(shape)


def guards_intact(array: NDArray) -> bool:
    """Whether the bytes around a `guarded` array are as they were."""
    buffer = array
    while isinstance(buffer.base, np.ndarray):
        buffer = buffer.base
    start = array.ctypes.data - buffer.ctypes.data
    return bool((buffer[:start] == 0xFF).all() and (buffer[start + array.nbytes :] == 0xFF).all())


def fill(case: Case, spec: OperandSpec, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    """Values that make sense for the operand: probabilities, labels, squares that are not negative, ..."""
    op, name = case.op, spec.name
    if spec.dtype in ("i4", "i8", "u1"):
        return _integers(case, name, shape, rng)
    if name in ("rates", "total", "scale"):
        return np.array({"rates": (0.05, 0.03, 0.0, 0.0), "total": (1.5, 4.0), "scale": (0.375,)}[name])
    if name == "learning_rate" or (name == "pred" and op.startswith("binary")):
        return rng.uniform(0.05, 0.95, shape)
    if name == "weight":
        return np.where(np.arange(shape[0]) % 4 == 1, 0.0, rng.uniform(0.0, 2.0, shape))
    if name == "target" and op.startswith(("sigmoid", "binary")):
        return rng.integers(0, 2, shape).astype(float)
    if "categorical" in op or (name == "target" and op.startswith("softmax")):
        return rng.dirichlet(np.ones(shape[1]), shape[0]) * (1.25 if name == "pred" else 1.0)
    if name == "out" and op in ("sigmoid_backward", "softmax_backward"):
        return rng.uniform(0.02, 0.98, shape) if op.startswith("sig") else rng.dirichlet(np.ones(shape[1]), shape[0])
    if name == "average_gradient" or (name == "out" and op == "tanh_backward"):
        return rng.uniform(-0.5, 0.5, shape)
    if name in ("accumulator", "v", "v_hat") or (name == "velocity" and op == "rmsprop"):
        return rng.uniform(0.5, 2.0, shape)
    return rng.normal(size=shape)


def _integers(case: Case, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray:
    if name == "control":
        return np.array([3, 2, 7, 9, 0, 0, 0, 0])
    if name == "index":
        return rng.permutation(shape[0])
    if name == "labels":
        labels = rng.integers(0, case.sizes.get("C", 3), shape)
        ignore = case.attributes.get("ignore_class")
        return labels if ignore is None else np.where(np.arange(shape[0]) % 3 == 1, ignore, labels)
    return rng.integers(0, 256, shape)


def sprinkle(array: NDArray, values: tuple[float, ...]) -> None:
    """Put one of ``values`` into every third element, of a matrix into every second row, in turn."""
    with np.errstate(over="ignore"):
        values_of_dtype = itertools.cycle(np.array(values).astype(array.dtype))
    places: Iterable[Any] = (
        [(m, m % array.shape[1]) for m in range(0, array.shape[0], 2)] if array.ndim == 2 else range(0, len(array), 3)
    )
    for place, value in zip(places, values_of_dtype, strict=False):
        array[place] = value


def check(case: Case, execute: Callable[..., None], dtype: str, workers: Sequence[int] = (1,)) -> None:
    """Run the case by a target's ``execute`` and hold it to the reference; the same bits for any number of workers.

    Raises
    ------
    AssertionError
        Naming the operand that is wrong, was written outside its bounds, or is an input that was changed.
    """
    first: dict[str, bytes] = {}
    for count in workers:
        operands = case.operands(dtype)
        before = {name: array.tobytes() for name, array in operands.items() if array is not None}
        given = {name: array for name, array in operands.items() if name != "scratch"}
        execute(case.op, given, case.all_attributes(), dtype=dtype, workers=count)
        present = {name: array for name, array in given.items() if array is not None}
        if not first:
            _check_operands(case, present, before, expected(case, case.operands(dtype)))
        results = {name: array.tobytes() for name, array in present.items()}
        first = first or results
        for name, result in results.items():
            if result != first[name]:
                raise AssertionError(f"{name}: {count} workers give other bits than {workers[0]}")


def _check_operands(case: Case, operands: dict[str, NDArray], before: dict[str, bytes], wanted: dict[str, NDArray]) -> None:
    for spec in case.instruction.operands:
        array = operands.get(spec.name)
        if array is None:
            continue
        if not guards_intact(array):
            raise AssertionError(f"{spec.name}: written outside")
        if spec.writes:
            assert_close(case, spec.name, array, wanted[spec.name])
        elif array.tobytes() != before[spec.name]:
            raise AssertionError(f"{spec.name}: an input was changed")


def expected(case: Case, operands: dict[str, NDArray | None]) -> dict[str, NDArray]:
    """What the reference makes of a copy of ``operands``, its floats held as float64."""
    copies = {
        name: array if array is None else array.astype(np.float64) if array.dtype == np.float32 else array.copy()
        for name, array in operands.items()
    }
    with np.errstate(all="ignore"):
        KERNELS[case.op](*copies.values(), *case.all_attributes().values())
    return {name: array for name, array in copies.items() if array is not None}


def assert_close(case: Case, name: str, actual: NDArray, wanted: NDArray) -> None:
    """Equal where they are not finite; elsewhere within the table's tolerance."""
    if actual.dtype.kind in "iu":
        np.testing.assert_array_equal(actual, wanted, err_msg=name)
        return
    exact = case.all_attributes().get("precision") != PRECISION_TENSORFLOAT32 or actual.dtype != np.float32
    rtol, atol = tolerance(actual.dtype, case.reduction_length(), relative=case.op in RELATIVE, exact=exact)
    with np.errstate(over="ignore"):
        wanted = wanted.astype(actual.dtype)
    np.testing.assert_allclose(actual, wanted, rtol=rtol, atol=atol, err_msg=name)


ULPS = {"float32": 8, "float64": 8}
"""Units in the last place that a result of order 1 may be off, without and per term of its longest sum."""

RELATIVE = {"relu", "relu_backward", "sigmoid", "tanh", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy"}
"""Instructions whose small results are as exact as their large ones."""


TENSORFLOAT32_EPS = 2.0**-10
"""What two factors may be off that were rounded to 11 bits."""


def tolerance(dtype: np.dtype, length: int, *, relative: bool = False, exact: bool = True) -> tuple[float, float]:
    """``(rtol, atol)`` for sums of ``length`` terms of order 1; the smallest normal number passes for the flushed 0.

    Unless ``exact``, the terms are those of `PRECISION_TENSORFLOAT32`.
    """
    unit = (float(np.finfo(dtype).eps) if exact else TENSORFLOAT32_EPS) * (ULPS[dtype.name] + length)
    return unit, float(np.finfo(dtype).tiny) if relative else unit
