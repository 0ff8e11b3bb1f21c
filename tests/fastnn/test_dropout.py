"""Dropout as a layer: Keras's arguments, what is dropped, and none outside training."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn import Input, Model, Sequential, config
from fastnn.layers import Dense, Dropout
from fastnn.lowering import operations
from fastnn.program import BATCH
from tests.fastnn.dropout_models import X, Y, drawn, network, ones


@pytest.fixture(params=["reference", "cpu"])
def device(request):
    return request.param


# -- arguments -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1.5, -0.1, float("nan"), "0.5", None])
def test_a_wrong_rate_is_refused(rate):
    with pytest.raises(ValueError, match=rf"argument `rate`\. Expected a float value between 0 and 1\. Received: rate={rate!r}"):
        Dropout(rate)


@pytest.mark.parametrize("seed", ["1", 1.5, True])
def test_a_seed_that_is_no_integer_is_refused(seed):
    with pytest.raises(ValueError, match=rf"Argument `seed` must be an integer\. Received: seed={seed!r}"):
        Dropout(0.5, seed=seed)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed):
    with pytest.raises(ValueError, match=rf"must be an integer from 0 to 2\*\*32 - 1\. Received: seed={seed}"):
        Dropout(0.5, seed=seed)


@pytest.mark.parametrize(
    ("noise_shape", "message"),
    [
        ("ab", "Expected a tuple or list of integers. Received: noise_shape='ab'"),
        (3, "Expected a tuple or list of integers. Received: noise_shape=3"),
        ((1, 2.0), "Expected all elements to be integers or None. Received element at index 1: 2.0 (type: float)"),
        ((1, 0), "Expected all dimensions to be positive integers or None. Received negative or zero value at index 1: 0"),
    ],
)
def test_a_wrong_noise_shape_is_refused(noise_shape, message):
    with pytest.raises(ValueError, match="Invalid value received for argument `noise_shape`") as refusal:
        Dropout(0.5, noise_shape=noise_shape)
    assert message in str(refusal.value)


@pytest.mark.parametrize(
    ("noise_shape", "message"),
    [
        ((1, 1, 1, 1), "it has 4 axes, the input has 3"),
        ((None, 2), "with None it must have all 3 axes of the input"),
        ((None, 2, 1), "2 at axis 1 is neither 1, None nor 3"),
    ],
)
def test_a_noise_shape_that_does_not_fit_is_refused(noise_shape, message):
    with pytest.raises(ValueError, match="of layer 'drop', inputs of shape") as refusal:
        Dropout(0.5, noise_shape=noise_shape, name="drop")(Input((3, 2)))
    assert message in str(refusal.value)


def test_a_noise_shape_of_three_groups_is_refused():
    with pytest.raises(ValueError, match="shared along two groups of neighbouring axes, not more"):
        Dropout(0.5, noise_shape=(1, None, 1, None, 1))(Input((2, 3, 4, 5)))


def test_configuration():
    layer = Dropout(0.25, noise_shape=[None, 1], seed=3, name="drop")
    expected = {"name": "drop", "trainable": True, "dtype": "float32", "rate": 0.25, "seed": 3, "noise_shape": (None, 1)}
    assert layer.get_config() == expected
    assert Dropout.from_config(expected).get_config() == expected
    assert Dropout(np.float32(0.5)).get_config() | {"name": ""} == Dropout(0.5).get_config() | {"name": ""}


def test_it_has_no_weights(capsys):
    model = network()
    assert len(model.weights) == 4
    assert model.layers[1].weights == []
    assert model.layers[1].count_params() == 0
    model.summary()
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "(Dropout)" in line)
    assert line.split("│")[2:4] == [" (None, 8)              ", "             0 "]


def test_programs_written_for_keras_find_it(run_python):
    run_python(
        """
        import fastnn.keras; fastnn.keras.install()
        import keras, tensorflow as tf
        from keras.layers import Dropout
        from keras.layers.core import Dropout as old
        from tensorflow.keras.layers import Dropout as of_tensorflow
        assert Dropout is old is of_tensorflow is tf.keras.layers.Dropout is keras.layers.Dropout
        """
    )


# -- what is dropped -----------------------------------------------------------------------------------------------------


def test_others_are_scaled(device):
    config.set_device(device)
    try:
        out = drawn(Dropout(0.2), (50, 100))
    finally:
        config.set_device(None)
    assert set(np.unique(out)) == {np.float32(0), np.float32(1.25)}
    assert abs((out == 0).mean() - 0.2) < 4 * np.sqrt(0.16 / out.size)


def test_the_ends_of_the_range():
    assert not drawn(Dropout(1)).any()
    assert (drawn(Dropout(0)) == 1).all()
    assert Dropout(0)._draws == []


def test_what_is_dropped_is_zero_whatever_it_was():
    out = np.array(Dropout(0.5)(np.full((1, 200), np.nan), training=True))
    assert 50 < (out == 0).sum() < 150
    assert np.isnan(out[out != 0]).all()


@pytest.mark.parametrize(
    ("noise_shape", "one_for"),
    [
        ((None, 1, None), (slice(None), slice(1), slice(None))),
        ((None, None, 1), (slice(None), slice(None), slice(1))),
        ((1, 5, 6), (slice(1), slice(None), slice(None))),
        ((7, 1, 6), (slice(None), slice(1), slice(None))),
        ((1, 5, 1), (slice(1), slice(None), slice(1))),
        ((5, 1), (slice(1), slice(None), slice(1))),
        ((6,), (slice(1), slice(1), slice(None))),
        ((), (slice(1), slice(1), slice(1))),
    ],
    ids=str,
)
def test_values_that_share(noise_shape, one_for):
    out = drawn(Dropout(0.5, noise_shape=noise_shape, seed=2), (7, 5, 6))
    np.testing.assert_array_equal(out, np.broadcast_to(out[one_for], out.shape))
    kept = out[one_for] > 0
    if kept.size > 1:  # along no other axis
        for axis in np.flatnonzero(np.array(kept.shape) > 1):
            assert (kept != kept.take([0], axis)).any(), axis


def test_axes_of_one_value_belong_to_any_group():
    assert operations.sharing((BATCH, 1, 3, 1, 4), [False, True, True, False, False]) == {
        **{"shared_outer": 1, "middle": 1},
        **{"shared_inner": 3, "inner": 4},
    }
    assert operations.sharing((BATCH, 3), [True, True]) == {
        **{"shared_outer": 1, "middle": 1},
        **{"shared_inner": BATCH * 3, "inner": 1},
    }


# -- when ----------------------------------------------------------------------------------------------------------------


def test_nothing_is_dropped_outside_training(device):
    model, plain = network(device), Sequential([Input((6,)), Dense(8, activation="tanh"), Dense(1)])
    plain.compile("sgd", "mse", device=device)
    plain.set_weights(model.get_weights())
    np.testing.assert_array_equal(model.predict(X, verbose=0), plain.predict(X, verbose=0))
    np.testing.assert_array_equal(model(X), plain(X))
    np.testing.assert_array_equal(model(X, training=False), plain(X))
    np.testing.assert_array_equal(model.predictor(2)(X[:2]), plain(X[:2]))
    np.testing.assert_array_equal(model.predict_on_batch(X), plain(X))
    assert model.evaluate(X, Y, verbose=0) == plain.evaluate(X, Y, verbose=0)
    assert model.test_on_batch(X, Y) == plain.test_on_batch(X, Y)
    for kind in ("predict", "test"):
        rows = [row.op for row in model._runtime.programs[kind, False].rows]
        assert rows == [row.op for row in plain._runtime.programs[kind, False].rows]


def test_a_call_in_training_draws_anew():
    model = network()
    calls = [np.array(model(X, training=True)) for _ in range(3)]
    assert not np.array_equal(calls[0], calls[1])
    assert not np.array_equal(calls[1], calls[2])
    assert not np.array_equal(calls[0], model(X))


def test_many_samples_draw_as_many_numbers():
    """More than one batch of a call."""
    out = drawn(ones(size=8), (1000, 8))
    assert len(np.unique(out, axis=0)) > 200  # of 256


def test_a_model_without_dropout_may_be_called_in_training():
    model = Sequential([Input((6,)), Dense(2)])
    np.testing.assert_array_equal(model(X, training=True), model(X))
    assert ("call", False) not in model._runtime.programs


def test_a_tensor_and_training_is_refused():
    x = Input((6,))
    with pytest.raises(
        ValueError, match=r"layer 'drop' cannot be called with training=True on a tensor .* model\(x, training=True\)"
    ):
        Dropout(0.5, name="drop")(x, training=True)
    with pytest.raises(ValueError, match="cannot be called with training=True"):
        Sequential([x, Dropout(0.5)])(Input((6,)), training=True)
    assert Dropout(0.5)(x, training=False).shape == (None, 6)
    assert Dropout(0)(x, training=True).shape == (None, 6)
    assert Dense(2)(x, training=True).shape == (None, 2)


def test_a_model_with_a_call_of_its_own():
    class Net(Model):
        def __init__(self):
            super().__init__()
            self.drop, self.out = Dropout(0.5), Dense(1)

        def call(self, inputs, training=None):
            return self.out(self.drop(inputs, training=training))

    model = Net()
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    np.testing.assert_array_equal(model(X), model(X))
    assert not np.array_equal(model(X, training=True), model(X, training=True))
