"""The reference against independent knowledge: values worked out by hand, central differences, its own storage rule."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from fastnn_kernels.instructions import (
    ADAM_RATE,
    INSTRUCTIONS,
    ITERATIONS,
    LEARNING_RATE,
    NEXT_POSITION,
    NO_CLASS,
    POSITION,
    STATUS,
    STATUS_NON_FINITE_LOSS,
    STEP,
)
from fastnn_kernels.reference.batches import uniform
from fastnn_kernels.reference.kernels import KERNELS
from fastnn_kernels.selftest.case import Case, expected
from fastnn_kernels.selftest.cases import CASES
from numpy.typing import NDArray

BACKWARD = ("relu", "sigmoid", "tanh", "softmax")
LOSSES = [name for name, entry in INSTRUCTIONS.items() if any(spec.name == "loss" for spec in entry.operands)]


def numeric_gradient(f: Callable[[NDArray], float], x: NDArray, h: float = 1e-5) -> NDArray:
    """Central differences of ``f`` at ``x``; the error is of order h**2."""
    gradient = np.empty_like(x)
    for place in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[place] = h
        gradient[place] = (f(x + step) - f(x - step)) / (2 * h)
    return gradient


def away_from(x: NDArray, *kinks: float) -> NDArray:
    """``x`` moved at least 0.01 from each of ``kinks``."""
    for kink in kinks:
        x = np.where(np.abs(x - kink) < 0.01, kink + 0.02, x)
    return x


@pytest.mark.parametrize("attributes", [(0.0, np.inf, 0.0), (0.25, 1.0, -0.3), (0.0, 0.8, 0.2)], ids=str)
def test_gradient_relu(attributes: tuple[float, float, float]) -> None:
    check_activation("relu", away_from(np.random.default_rng(0).normal(size=20), *attributes[1:]), attributes)


@pytest.mark.parametrize(("name", "shape"), [("sigmoid", (20,)), ("tanh", (20,)), ("softmax", (4, 5)), ("log_softmax", (4, 5))])
def test_gradient_activation(name: str, shape: tuple[int, ...]) -> None:
    check_activation(name, np.random.default_rng(0).normal(size=shape), ())


def check_activation(name: str, x: NDArray, attributes: tuple[float, ...]) -> None:
    """dx of sum(dout * f(x)) against central differences; with accumulate it is added."""
    dout = np.random.default_rng(1).normal(size=x.shape)

    def total(x: NDArray) -> float:
        out = np.empty_like(x)
        KERNELS[name](x, out, *attributes)
        return float((out * dout).sum())

    out, dx = np.empty_like(x), np.ones_like(x)
    KERNELS[name](x, out, *attributes)
    KERNELS[f"{name}_backward"](x if name == "relu" else out, dout, dx, *attributes, 1)
    np.testing.assert_allclose(dx - 1.0, numeric_gradient(total, x), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("attribute", ["none", "set"])
@pytest.mark.parametrize("name", LOSSES)
def test_gradient_loss(name: str, attribute: str, weighted: bool) -> None:
    sizes = {"M": 6, "C": 4}
    values = {"label_smoothing": 0.2, "ignore_class": 2} if attribute == "set" else {}
    case = Case(name, "gradient", sizes, () if weighted else ("weight", "scale"), values)
    operands = case.operands("float64")
    prediction, target, weight, scale, loss, gradient = operands.values()
    assert prediction is not None

    def total(x: NDArray) -> float:
        KERNELS[name](x, target, weight, scale, loss, None, *case.all_attributes().values())
        return float(((1.0 if weight is None else weight) * loss).sum() * (1.0 if scale is None else scale[0]))

    KERNELS[name](prediction, target, weight, scale, loss, gradient, *case.all_attributes().values())
    np.testing.assert_allclose(gradient, numeric_gradient(total, prediction, 1e-6), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("transpose_a", [0, 1])
@pytest.mark.parametrize("transpose_b", [0, 1])
def test_gradient_matmul_is_matmul(transpose_a: int, transpose_b: int) -> None:
    """d sum(dout * (a @ b)) = dout @ b.T and a.T @ dout, by the instruction itself; the bias's gradient is sum_rows."""
    rng = np.random.default_rng(0)
    a, b, bias, dout = rng.normal(size=(3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=(3, 5))
    matmul = KERNELS["matmul"]

    def total(a: NDArray, b: NDArray, bias: NDArray) -> float:
        out = np.empty((3, 5))
        matmul(a.T if transpose_a else a, b.T if transpose_b else b, bias, None, out, transpose_a, transpose_b, 0, 0.0, 0, 0)
        return float((out * dout).sum())

    da, db, dbias = np.empty_like(a), np.empty_like(b), np.empty_like(bias)
    matmul(dout, b, None, None, da, 0, 1, 0, 0.0, 0, 0)
    matmul(a, dout, None, None, db, 1, 0, 0, 0.0, 0, 0)
    KERNELS["sum_rows"](dout, dbias, 0)
    np.testing.assert_allclose(da, numeric_gradient(lambda x: total(x, b, bias), a), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(db, numeric_gradient(lambda x: total(a, x, bias), b), rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(dbias, numeric_gradient(lambda x: total(a, b, x), bias), rtol=1e-8, atol=1e-9)


def loss_of(name: str, prediction: list[float], target: list[float] | int, *attributes: float) -> float:
    """The loss of one row."""
    loss = np.empty(1)
    wanted = np.array([target], np.int32 if isinstance(target, int) else np.float64)
    KERNELS[name](np.array([prediction]), wanted, None, None, loss, None, *attributes, 0)
    return float(loss[0])


@pytest.mark.parametrize(
    ("name", "prediction", "target", "attributes", "value"),
    [
        ("softmax_cross_entropy", [0.0, 0.0, 0.0, 0.0], 2, (NO_CLASS,), math.log(4)),
        ("softmax_cross_entropy", [1000.0, 0.0], 1, (NO_CLASS,), 1000.0),
        ("softmax_cross_entropy", [1000.0, 0.0], 1, (1,), 0.0),
        ("softmax_cross_entropy_dense", [0.0, math.log(3)], [0.0, 1.0], (0.0,), math.log(4 / 3)),
        ("softmax_cross_entropy_dense", [0.0, math.log(3)], [0.0, 1.0], (0.5,), 0.25 * math.log(4) + 0.75 * math.log(4 / 3)),
        ("sigmoid_cross_entropy", [0.0, 0.0], [0.0, 1.0], (0.0,), math.log(2)),
        ("sigmoid_cross_entropy", [-800.0], [1.0], (0.0,), 800.0),
        ("sparse_categorical_cross_entropy", [0.5, 1.5], 0, (NO_CLASS,), math.log(4)),
        ("sparse_categorical_cross_entropy", [0.0, 1.0], 0, (NO_CLASS,), -math.log(1e-7)),
        ("sparse_categorical_cross_entropy", [0.0, 1.0], 0, (0,), 0.0),
        ("categorical_cross_entropy", [0.25, 0.75], [1.0, 0.0], (0.0,), math.log(4)),
        ("categorical_cross_entropy", [0.25, 0.75], [1.0, 0.0], (1.0,), 0.5 * (math.log(4) + math.log(4 / 3))),
        ("binary_cross_entropy", [0.25, 0.5], [1.0, 0.0], (0.0,), 0.5 * (math.log(4) + math.log(2))),
        ("binary_cross_entropy", [0.0], [1.0], (0.0,), -math.log(1e-7)),
        ("binary_cross_entropy", [0.25], [1.0], (0.5,), 0.75 * math.log(4) + 0.25 * math.log(4 / 3)),
        ("mean_squared_error", [1.0, 2.0], [3.0, 5.0], (), 6.5),
        ("mean_absolute_error", [1.0, 2.0], [3.0, 5.0], (), 2.5),
    ],
)
def test_loss_by_hand(
    name: str, prediction: list[float], target: list[float] | int, attributes: tuple[float, ...], value: float
) -> None:
    assert loss_of(name, prediction, target, *attributes) == pytest.approx(value, rel=1e-14, abs=1e-15)


@pytest.mark.parametrize(
    ("name", "target", "clipped"),
    [
        ("sparse_categorical_cross_entropy", np.array([0], np.int32), [[0.0, 1.0]]),
        ("categorical_cross_entropy", np.array([[1.0, 0.0]]), [[1e-8, 1.0]]),
        ("binary_cross_entropy", np.array([[1.0, 0.0]]), [[0.0, 1.0]]),
    ],
)
def test_clipped_probabilities_pass_no_gradient(name: str, target: NDArray, clipped: list[list[float]]) -> None:
    gradient = np.empty((1, 2))
    KERNELS[name](np.array(clipped), target, None, None, np.empty(1), gradient, NO_CLASS if "sparse" in name else 0.0, 0)
    np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize(
    ("attributes", "values"),
    [
        ((0.0, np.inf, 0.0), [0.0, 0.0, 0.0, 0.5, 3.0, np.inf, np.nan]),
        ((0.5, 2.0, 0.0), [-np.inf, -1.0, 0.0, 0.5, 2.0, 2.0, np.nan]),
        ((0.0, np.inf, 0.5), [0.0, 0.0, 0.0, 0.0, 3.0, np.inf, np.nan]),
        ((0.5, np.inf, 0.5), [-np.inf, -1.25, -0.25, 0.0, 3.0, np.inf, np.nan]),
    ],
)
def test_relu_by_hand(attributes: tuple[float, float, float], values: list[float]) -> None:
    x, out = np.array([-np.inf, -2.0, 0.0, 0.5, 3.0, np.inf, np.nan]), np.empty(7)
    KERNELS["relu"](x, out, *attributes)
    np.testing.assert_array_equal(out, values)


def test_sigmoid_does_not_overflow() -> None:
    out = np.empty(4)
    with np.errstate(all="raise", under="ignore"):
        KERNELS["sigmoid"](np.array([-1000.0, -math.log(3), math.log(3), 1000.0]), out)
    np.testing.assert_allclose(out, [0.0, 0.25, 0.75, 1.0], rtol=1e-15)


def test_splitmix_gives_the_published_numbers() -> None:
    """The first five numbers of the seed 1234567, as in the authors' C."""
    known = (6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821)
    state = np.array([1234567])
    expected = [(number >> 11) / 2**53 for number in known]
    assert [*uniform(state, 2), *uniform(state, 3)] == expected


def test_every_order_is_as_likely_as_any_other() -> None:
    index, state, control = np.arange(4), np.array([-5]), np.full(8, -1)
    counts: Counter[bytes] = Counter()
    for _ in range(4800):
        KERNELS["shuffle"](control, index, state)
        counts[index.tobytes()] += 1
    assert len(counts) == 24
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 44.2  # chi squared, 23 degrees: 0.5% lie above


def test_batches_follow_each_other() -> None:
    data, index = np.arange(12, dtype=np.uint8).reshape(6, 2), np.array([5, 0, 3, 1, 4, 2])
    control, out, back = np.zeros(8, np.int64), np.empty((2, 2), np.uint8), np.zeros((6, 2), np.uint8)
    control[STEP] = -1
    for step in range(3):
        KERNELS["next_batch"](control, 2)
        assert (control[STEP], control[POSITION], control[NEXT_POSITION]) == (step, 2 * step, 2 * step + 2)
        KERNELS["take_rows"](data, index, control, out)
        np.testing.assert_array_equal(out, data[index[2 * step : 2 * step + 2]])
        KERNELS["take_rows"](data, None, control, out)
        KERNELS["put_rows"](out, control, back)
    np.testing.assert_array_equal(back, data)


def test_next_update_computes_adams_rate() -> None:
    control, rates = np.zeros(8, np.int64), np.zeros(4)
    control[STEP] = 1
    KERNELS["next_update"](np.array([9.0, 0.1]), control, rates, 0.9, 0.99)
    assert control[ITERATIONS] == 1
    assert rates[LEARNING_RATE] == 0.1
    assert rates[ADAM_RATE] == pytest.approx(0.1 * math.sqrt(0.01) / 0.1, rel=1e-14)


@pytest.mark.parametrize(("value", "status"), [(1.0, 0), (np.nan, STATUS_NON_FINITE_LOSS), (np.inf, STATUS_NON_FINITE_LOSS)])
def test_accumulate_loss_reports_a_loss_that_is_not_finite(value: float, status: int) -> None:
    total, control = np.array([1.0, 3.0]), np.zeros(8, np.int64)
    KERNELS["accumulate_loss"](np.array([value, 3.0]), None, np.array([0.5]), total, control, 2)
    assert control[STATUS] == status
    np.testing.assert_array_equal(total, [1.0 + 2 * 0.5 * (value + 3.0), 5.0])


@pytest.mark.parametrize(
    ("reduction", "weight", "labels", "scale"),
    [
        (0, None, None, 1.0),
        (1, None, None, 0.25),
        (1, [0.5, 0.5, 0.0, 0.0], None, 0.25),
        (1, None, [0, 9, 9, 1], 0.5),
        (1, None, [9, 9, 9, 9], 0.0),
        (2, [0.5, 0.5, 0.0, 1.0], None, 0.5),
        (2, [0.5, 0.5, 0.0, 1.0], [0, 9, 9, 1], 1 / 1.5),
        (2, [0.0, 0.0, 0.0, 0.0], None, 0.0),
        (2, None, None, 0.25),
    ],
)
def test_loss_scale_by_hand(reduction: int, weight: list[float] | None, labels: list[int] | None, scale: float) -> None:
    out = np.empty(1)
    KERNELS["loss_scale"](weight and np.array(weight), labels and np.array(labels, np.int32), out, 4, reduction, 3.0, 9)
    assert out[0] == pytest.approx(3.0 * scale, rel=1e-15)


@pytest.mark.parametrize(
    ("op", "attributes", "state", "after"),
    [
        ("sgd", (0.0, 0), [None], [0.8]),
        ("sgd", (0.5, 0), [1.0], [1.3, 0.3]),
        ("sgd", (0.5, 1), [1.0], [0.95, 0.3]),
        ("adagrad", (0.0,), [12.0], [0.95, 16.0]),
        ("rmsprop", (0.5, 0.0, 0.0), [4.0, None, None], [0.9, 4.0]),
        ("rmsprop", (0.5, 0.5, 0.0), [4.0, 1.0, None], [0.4, 4.0, 0.6]),
        ("rmsprop", (0.5, 0.0, 2.0), [14.0, None, 4.0], [1 - 0.2 / math.sqrt(2), 9.0, 3.0]),
        ("adam", (0.5, 0.75, 1.0), [0.0, 32 / 3, None], [1 - 0.25 * 1.0 / 4.0, 1.0, 9.0]),
        ("adam", (0.5, 0.75, 1.0), [0.0, 32 / 3, 49.0], [1 - 0.25 * 1.0 / 8.0, 1.0, 9.0, 49.0]),
    ],
)
def test_update_by_hand(op: str, attributes: tuple[float, ...], state: list[float | None], after: list[float]) -> None:
    """One parameter of 1.0 with a gradient of 2.0 (Adagrad: 2.0), a rate of 0.1 and an Adam rate of 0.25."""
    params, slots = np.array([1.0]), [None if value is None else np.array([value]) for value in state]
    KERNELS[op](np.array([2.0]), np.array([0.1, 0.25, 0.0, 0.0]), params, *slots, *attributes)
    results = [params, *(slot for slot in slots if slot is not None)]
    np.testing.assert_allclose([float(result[0]) for result in results], after, rtol=1e-14)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_float32_storage_rounds_the_float64_result(case: Case) -> None:
    operands = case.operands("float32")
    wanted = expected(case, operands)
    with np.errstate(all="ignore"):
        KERNELS[case.op](*operands.values(), *case.all_attributes().values())
        for name, array in operands.items():
            if array is not None:
                np.testing.assert_array_equal(array, wanted[name].astype(array.dtype), err_msg=name)
