"""Initializers: distributions, seeds, spellings."""

import math

import numpy as np
import pytest

from fastnn import initializers, utils
from fastnn.layers import Dense

SHAPE = (300, 200)
N = math.prod(SHAPE)
GLOROT, HE, LECUN = 2 / 500, 2 / 300, 1 / 300
TRUNCATED = 0.87962566103423978


@pytest.mark.parametrize(
    ("name", "variance", "limit"),
    [
        ("glorot_uniform", GLOROT, math.sqrt(3 * GLOROT)),
        ("he_uniform", HE, math.sqrt(3 * HE)),
        ("lecun_uniform", LECUN, math.sqrt(3 * LECUN)),
        ("glorot_normal", GLOROT, 2 * math.sqrt(GLOROT) / TRUNCATED),
        ("he_normal", HE, 2 * math.sqrt(HE) / TRUNCATED),
        ("lecun_normal", LECUN, 2 * math.sqrt(LECUN) / TRUNCATED),
        ("random_uniform", 0.1**2 / 12, 0.05),
        ("random_normal", 0.05**2, math.inf),
        ("truncated_normal", (0.05 * TRUNCATED) ** 2, 0.1),
    ],
)
def test_variance_and_bounds(name, variance, limit):
    utils.set_random_seed(0)
    values = initializers.get(name)(SHAPE, "float64")
    assert abs(values.mean()) < 5 * math.sqrt(variance / N)
    assert values.var() == pytest.approx(variance, rel=0.03)
    assert np.abs(values).max() <= limit
    if math.isfinite(limit):
        assert np.abs(values).max() > 0.98 * limit


@pytest.mark.parametrize(
    ("arguments", "variance"),
    [
        ({"scale": 3.0, "mode": "fan_out", "distribution": "uniform"}, 3 / 200),
        ({"distribution": "untruncated_normal"}, 1 / 300),
        ({"mode": "fan_avg", "distribution": "normal"}, 1 / 250),
    ],
)
def test_variance_scaling(arguments, variance):
    values = initializers.VarianceScaling(**arguments, seed=1)(SHAPE, "float64")
    assert values.var() == pytest.approx(variance, rel=0.03)


@pytest.mark.parametrize(("shape", "fans"), [((3, 5), (3, 5)), ((7,), (7, 7)), ((), (1, 1)), ((2, 2, 3, 4), (12, 16))])
def test_fans(shape, fans):
    from fastnn.initializers.random import fans as fans_of

    assert fans_of(shape) == fans


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_orthogonal_rows_or_columns_are_orthonormal_times_gain(shape):
    values = initializers.Orthogonal(gain=2.0, seed=0)(shape, "float64")
    gram = values.T @ values if shape[0] >= shape[1] else values @ values.T
    np.testing.assert_allclose(gram, 4.0 * np.eye(min(shape)), atol=1e-12)


def test_constants():
    assert initializers.Zeros()((2, 2)).sum() == 0
    assert initializers.Ones()((2, 2)).sum() == 4
    np.testing.assert_array_equal(initializers.Constant(3.0)((2,)), [3.0, 3.0])
    np.testing.assert_array_equal(initializers.Identity(2.0)((2, 3)), [[2, 0, 0], [0, 2, 0]])
    with pytest.raises(ValueError, match="two axes"):
        initializers.Identity()((2,))
    with pytest.raises(ValueError, match="at least two axes"):
        initializers.Orthogonal()((2,))


def test_a_seed_gives_the_same_values_in_every_call():
    seeded = initializers.GlorotUniform(seed=3)
    np.testing.assert_array_equal(seeded((4, 4)), seeded((4, 4)))
    np.testing.assert_array_equal(seeded((4, 4)), initializers.GlorotUniform(seed=3)((4, 4)))
    assert (seeded((4, 4)) != initializers.GlorotUniform(seed=4)((4, 4))).all()


def test_without_a_seed_every_call_draws_and_the_random_seed_repeats_them():
    unseeded = initializers.GlorotUniform()
    utils.set_random_seed(5)
    first, second = unseeded((4, 4)), unseeded((4, 4))
    assert (first != second).all()
    utils.set_random_seed(5)
    np.testing.assert_array_equal(unseeded((4, 4)), first)


@pytest.mark.parametrize(
    ("identifier", "cls"),
    [
        ("GlorotUniform", initializers.GlorotUniform),
        ("glorot_uniform", initializers.GlorotUniform),
        ("normal", initializers.RandomNormal),
        ("uniform", initializers.RandomUniform),
        ("zero", initializers.Zeros),
        ("one", initializers.Ones),
        ("constant", initializers.Constant),
        (initializers.HeNormal, initializers.HeNormal),
        ({"class_name": "HeUniform", "config": {"seed": 2}}, initializers.HeUniform),
    ],
)
def test_spellings(identifier, cls):
    found = initializers.get(identifier)
    assert type(found) is cls
    assert type(initializers.deserialize(initializers.serialize(found))) is cls


def test_arrays_and_functions_are_initializers_of_weights():
    layer = Dense(2, kernel_initializer=np.eye(2), bias_initializer=lambda shape, dtype=None: np.full(shape, 7.0, dtype))
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.kernel.numpy(), np.eye(2))
    np.testing.assert_array_equal(layer.bias.numpy(), [7.0, 7.0])
    with pytest.raises(ValueError, match=r"array of shape \(2, 2\) was given as initializer of a weight of shape \(3, 2\)"):
        Dense(2, kernel_initializer=np.eye(2)).build((None, 3))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: initializers.get("glorot_unifrom"), "Did you mean 'glorot_uniform'"),
        (lambda: initializers.VarianceScaling(scale=0), "`scale` must be above 0"),
        (lambda: initializers.VarianceScaling(mode="fan"), "`mode` must be 'fan_in'"),
        (lambda: initializers.VarianceScaling(distribution="cauchy"), "`distribution` must be"),
        (lambda: initializers.RandomNormal(seed=1.5), "seed must be an integer"),
    ],
)
def test_wrong_arguments_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_class_that_defines_nothing_is_refused():
    class Empty(initializers.Initializer):
        pass

    with pytest.raises(TypeError, match="Empty must define __call__"):
        Empty()((2,))
