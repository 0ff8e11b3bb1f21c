"""Optimizer updates against the reference: any shape and layout, in place, and what they refuse."""

from __future__ import annotations

import inspect
import math
from typing import Any

import fastnn_kernels
import numpy as np
import pytest
from fastnn_kernels.reference.kernels import KERNELS
from fastnn_kernels.selftest.case import guarded, guards_intact
from numpy.typing import NDArray

RATE = 0.05
ADAM = RATE * math.sqrt(1.0 - 0.99**3) / (1.0 - 0.8**3)

Update = tuple[str, int, dict[str, Any], tuple[float, ...], tuple[bool, ...]]
UPDATES: list[Update] = [  # name, state arrays, keywords, the instruction's attributes, which of its state operands are there
    ("sgd", 0, {}, (0.0, 0), (False,)),
    ("sgd", 1, {"momentum": 0.9}, (0.9, 0), (True,)),
    ("sgd", 1, {"momentum": 0.9, "nesterov": True}, (0.9, 1), (True,)),
    ("adagrad", 1, {"epsilon": 1e-3}, (1e-3,), (True,)),
    ("rmsprop", 1, {"rho": 0.8}, (0.8, 0.0, 1e-7), (True, False, False)),
    ("rmsprop", 2, {"momentum": 0.5}, (0.9, 0.5, 1e-7), (True, True, False)),
    ("rmsprop", 3, {"momentum": 0.5, "epsilon": 0.1}, (0.9, 0.5, 0.1), (True, True, True)),
    ("adam", 2, {"step": 3, "beta_1": 0.8, "beta_2": 0.99}, (0.8, 0.99, 1e-7), (True, True, False)),
    ("adam", 3, {"step": 3, "beta_1": 0.8, "beta_2": 0.99}, (0.8, 0.99, 1e-7), (True, True, True)),
]
every = pytest.mark.parametrize("update", UPDATES, ids=lambda update: f"{update[0]}-{update[1]}-{'-'.join(update[2])}")


def arrays(update: Update, shape: tuple[int, ...]) -> list[NDArray]:
    """Parameters, gradient and state; squares are 1 and more, averages of gradients below that."""
    rng = np.random.default_rng(0)
    state = [rng.uniform(1.0, 2.0, shape) for _ in range(update[1])]
    if update[0] == "rmsprop" and len(state) == 3:
        state[2] = rng.uniform(-0.5, 0.5, shape)
    return [rng.normal(size=shape), rng.normal(size=shape), *state]


def run(update: Update, given: list[NDArray], **keywords: Any) -> None:
    getattr(fastnn_kernels, update[0])(*given, learning_rate=RATE, **update[2], **keywords)


@every
@pytest.mark.parametrize("shape", [(), (0,), (3, 4, 5), (9001,)])
def test_update(update: Update, shape: tuple[int, ...]) -> None:
    name, _, _, attributes, there = update
    given, wanted = arrays(update, shape), [array.ravel() for array in arrays(update, shape)]
    slots = iter(wanted[2:])
    rates = np.array([RATE, ADAM, 0.0, 0.0])
    KERNELS[name](wanted[1], rates, wanted[0], *(next(slots) if present else None for present in there), *attributes)
    run(update, given)
    for result, value in zip(given, wanted, strict=True):
        np.testing.assert_allclose(result.ravel(), value, rtol=1e-13, atol=1e-14)


@every
def test_float32_stays_in_its_arrays(update: Update) -> None:
    exact = arrays(update, (5, 7))
    given = [guarded((5, 7), "float32") for _ in exact]
    for array, values in zip(given, exact, strict=True):
        array[...] = values
    run(update, exact)
    run(update, given)
    for array, values in zip(given, exact, strict=True):
        np.testing.assert_allclose(array, values, rtol=1e-5, atol=1e-6)
        assert guards_intact(array)


@every
def test_other_layouts_are_updated_in_place(update: Update) -> None:
    wanted = arrays(update, (6, 4))
    columns = [np.asfortranarray(array) for array in wanted]
    memory = np.full((len(wanted), 6, 8), 7.0)
    strided = list(memory[:, :, ::2])
    for array, values in zip(strided, wanted, strict=True):
        array[...] = values
    for given in (wanted, columns, strided):
        run(update, given)
    for given in (columns, strided):
        for array, values in zip(given, wanted, strict=True):
            np.testing.assert_array_equal(array, values)
    assert (memory[:, :, 1::2] == 7.0).all()


@every
@pytest.mark.parametrize("workers", [2, 7])
def test_same_bits_for_any_number_of_workers(update: Update, workers: int) -> None:
    one, many = arrays(update, (20_000,)), arrays(update, (20_000,))
    run(update, one, workers=1)
    run(update, many, workers=workers)
    assert [array.tobytes() for array in one] == [array.tobytes() for array in many]


@every
def test_arrays_must_be_like_the_parameters_and_apart(update: Update) -> None:
    names = list(inspect.signature(getattr(fastnn_kernels, update[0])).parameters)
    given = arrays(update, (4, 3))
    for place, name in enumerate(names[: len(given)]):

        def refused(array: Any, error: type[Exception], message: str, place: int = place) -> None:
            before = [array.copy() for array in given]
            with pytest.raises(error, match=message):
                run(update, [*given[:place], array, *given[place + 1 :]])
            for array, values in zip(given, before, strict=True):
                np.testing.assert_array_equal(array, values)

        if name != "params":
            refused(given[place][:3], ValueError, rf"{name} must have shape \(4, 3\), that of .*, got \(3, 3\)")
            refused(given[place].astype(np.float32), TypeError, rf"{name} (is|must be) .*float")
            refused(given[0], ValueError, rf"(params and {name}|{name} and \w+) share memory|params and grads share memory")
        if name != "grads":
            read_only = given[place].copy()
            read_only.flags.writeable = False
            refused(read_only, ValueError, f"{name} is read-only")
            refused(given[place].tolist(), TypeError, rf"{name} is (changed|written) in place and must be a NumPy array, got list")


def test_integer_parameters_are_refused() -> None:
    with pytest.raises(TypeError, match="params must be float32 or float64, got int64"):
        fastnn_kernels.sgd(np.arange(3), np.ones(3))


def test_state_that_is_not_optional() -> None:
    with pytest.raises(TypeError, match="velocity is written in place and must be a NumPy array, got NoneType"):
        fastnn_kernels.rmsprop(np.ones(3), np.ones(3), None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "states", "keywords", "message"),
    [
        ("sgd", 0, {"learning_rate": None}, "learning_rate must be a number, got None"),
        ("sgd", 0, {"learning_rate": math.nan}, "learning_rate must be a finite number, got nan"),
        ("sgd", 0, {"learning_rate": 10**400}, "learning_rate must be a finite number, got 1000"),
        ("adagrad", 1, {"learning_rate": math.inf}, "learning_rate must be a finite number, got inf"),
        ("adagrad", 1, {"epsilon": None}, "epsilon must be a number, got None"),
        ("rmsprop", 1, {"rho": "0.9"}, "rho must be a number, got '0.9'"),
        ("adam", 2, {"step": 1, "learning_rate": None}, "learning_rate must be a number, got None"),
        ("adam", 2, {"step": math.nan}, "step must be an integer from 1 to 9223372036854775807, got nan"),
        ("adam", 2, {"step": math.inf}, "step must be an integer from 1 to 9223372036854775807, got inf"),
        ("adam", 2, {"step": 1.5}, "step must be an integer from 1 to 9223372036854775807, got 1.5"),
        ("adam", 2, {"step": 1, "epsilon": math.inf}, "epsilon must be a finite number, got inf"),
        ("sgd", 0, {"momentum": 0.9}, r"momentum=0.9, nesterov=False needs a velocity; np\.zeros_like\(params\)"),
        ("sgd", 0, {"nesterov": True}, "nesterov=True needs a velocity"),
        ("sgd", 1, {"momentum": 1.5}, "momentum must lie from 0 to 1, got 1.5"),
        ("sgd", 1, {"momentum": math.nan}, "momentum must be a finite number, got nan"),
        ("adagrad", 1, {"epsilon": -1.0}, "epsilon must be at least 0, got -1.0"),
        ("rmsprop", 1, {"momentum": 0.5}, "momentum=0.5 needs momentums"),
        ("rmsprop", 1, {"rho": -0.1}, "rho must lie from 0 to 1, got -0.1"),
        ("adam", 2, {"step": 0}, "step must be an integer from 1 to 9223372036854775807, got 0"),
        ("adam", 2, {"step": 1, "beta_1": 1.0}, "beta_1 must lie from 0 to below 1, got 1.0"),
        ("adam", 2, {"step": 1, "beta_2": 2}, "beta_2 must lie from 0 to below 1, got 2"),
        ("adam", 2, {"step": 1, "workers": 0}, "workers must be None or an integer from 1 to 1024, got 0"),
    ],
)
def test_numbers_outside_their_range_are_refused(name: str, states: int, keywords: dict, message: str) -> None:
    given = np.ones((2 + states, 3))
    with pytest.raises((TypeError, ValueError), match=message):
        getattr(fastnn_kernels, name)(*given, **keywords)
    assert (given == 1.0).all()


def test_rates_may_be_negative_and_steps_late() -> None:
    params, m, v = np.ones((3, 3))
    fastnn_kernels.sgd(params, m, learning_rate=-1)
    fastnn_kernels.adam(params, m, m.copy(), v, step=2**63 - 1, learning_rate=np.float32(0.5))
    np.testing.assert_allclose(params, 1.5, rtol=1e-6)
