"""Dropout as a layer: Keras's arguments, new numbers in every step, the same in every run of a program, none outside training."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastnn import Input, Model, Sequential, config
from fastnn.layers import Activation, Dense, Dropout, Flatten
from fastnn.lowering import operations
from fastnn.models import clone_model
from fastnn.program import BATCH
from fastnn.utils import set_random_seed

X = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
Y = (X[:, :1] - X[:, 1:2]) / 2


@pytest.fixture(params=["reference", "cpu"])
def device(request):
    return request.param


def network(device="cpu", rate=0.5, seed=None, optimizer="sgd", units=8):
    model = Sequential([Input((6,)), Dense(units, activation="tanh"), Dropout(rate, seed=seed), Dense(1)])
    model.compile(optimizer, "mse", device=device)
    return model


def ones(rate=0.5, size=100, seed=None, **compile_arguments):
    """A model whose output is what dropout makes of its input."""
    model = Sequential([Input((size,)), Dropout(rate, seed=seed)])
    model.compile("sgd", "mse", **compile_arguments)
    return model


def drawn(layer_or_model, shape=(4, 100)):
    return np.array(layer_or_model(np.ones(shape, np.float32), training=True))


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


# -- the same numbers again, and never again -----------------------------------------------------------------------------


def losses(model, epochs=3, **arguments):
    return model.fit(X, Y, batch_size=5, epochs=epochs, verbose=0, **arguments).history["loss"]


def test_a_seeded_program_gives_the_same_bits_again(device):
    results = []
    for _ in range(2):
        set_random_seed(11)
        model = network(device)
        results.append((losses(model), model.get_weights()))
    assert results[0][0] == results[1][0]
    for first, second in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert losses(network(device)) != results[0][0]


def test_a_seed_of_its_own():
    first, second, other = drawn(Dropout(0.5, seed=5)), drawn(Dropout(0.5, seed=5)), drawn(Dropout(0.5, seed=6))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)
    assert not np.array_equal(drawn(Dropout(0.5)), drawn(Dropout(0.5)))


def test_an_unseeded_program_draws_others_in_every_process(run_python):
    program = """
        import numpy as np
        from fastnn.layers import Dropout
        import fastnn.config; fastnn.config.set_device("reference")
        print(np.array(Dropout(0.5)(np.ones((1, 64)), training=True)).astype(int).tolist())
    """
    assert run_python(program) != run_python(program)


def test_the_device_does_not_matter():
    results = {}
    for device in ("reference", "cpu"):
        set_random_seed(5)
        results[device] = drawn(ones(device=device), (70, 100))
    np.testing.assert_array_equal(results["reference"], results["cpu"])


def test_training_is_the_same_on_every_device():
    results = []
    for device in ("reference", "cpu"):
        set_random_seed(5)
        results.append(losses(network(device)))
    np.testing.assert_allclose(*results, rtol=1e-5)


def test_the_number_of_workers_does_not_matter():
    x, y = np.random.default_rng(0).normal(size=(256, 300)).astype(np.float32), np.zeros((256, 1))
    weights = []
    for threads in (1, 2, 3, 7):
        set_random_seed(5)
        model = Sequential(
            [Input((300,)), Dropout(0.2), Dense(512, activation="relu"), Dropout(0.5, noise_shape=(None, 512)), Dense(1)]
        )
        model.compile("adam", "mse")
        config.set_num_threads(threads)
        try:
            model.fit(x, y, batch_size=100, epochs=2, verbose=0)
        finally:
            config.set_num_threads(None)
        weights.append(np.concatenate([weight.ravel() for weight in model.get_weights()]).tobytes())
    assert len(set(weights)) == 1


def test_fits_go_on_where_the_last_one_ended(device):
    results = []
    for parts in ((4,), (1, 3), (2, 2)):
        set_random_seed(3)
        model = network(device)
        history = [loss for epochs in parts for loss in losses(model, epochs, shuffle=False)]
        results.append(history)
    assert results[0] == results[1] == results[2]
    assert len(set(results[0])) == 4


def test_single_updates_are_those_of_fit(device):
    weights = []
    for by_hand in (False, True):
        set_random_seed(3)
        model = network(device)
        if by_hand:
            for start in range(0, 24, 5):
                model.train_on_batch(X[start : start + 5], Y[start : start + 5])
        else:
            losses(model, epochs=1, shuffle=False)
        weights.append(np.concatenate([weight.ravel() for weight in model.get_weights()]))
    np.testing.assert_array_equal(*weights)


def kept_in_training(model, steps, size):
    """For a model whose only weight is one bias behind dropout of ones: what each step dropped, told by the gradient."""
    return [tuple(model.gradients(np.ones((1, size)), np.zeros((1, 1)))[1][0].ravel() != 0) for _ in range(steps)]


def test_every_call_draws_anew():
    """Steps of training, gradients and calls, in one row: no two have the same numbers."""
    size = 64
    model = Sequential([Input((size,)), Dropout(0.5), Dense(1, kernel_initializer="ones")])
    model.compile("sgd", "mse")
    found = kept_in_training(model, 3, size)
    model.fit(np.ones((8, size)), np.zeros((8, 1)), batch_size=2, epochs=3, verbose=0)
    assert model.layers[0]._draws[0].made == 3 + 12
    found += kept_in_training(model, 3, size)
    found += [tuple(row) for row in drawn(model.layers[0], (1, size)) > 0]
    assert len(set(found)) == len(found)


def test_threads_draw_apart():
    model = ones(size=64)
    drawn(model, (1, 64))
    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(lambda _: tuple(drawn(model, (1, 64))[0]), range(60)))
    assert len(set(rows)) == 60


def test_two_layers_of_one_seed_differ():
    model = Sequential([Input((500,)), Dropout(0.5, seed=1), Dropout(0.5, seed=1)])
    assert abs((drawn(model, (1, 500)) > 0).mean() - 0.25) < 0.1


def test_a_layer_called_twice_draws_twice():
    drop, x = Dropout(0.5), Input((500,))
    first, second = Model(x, [drop(x), drop(x)])(np.ones((1, 500)), training=True)
    assert 150 < (np.array(first) == np.array(second)).sum() < 350


def test_models_that_share_a_layer_never_draw_the_same():
    drop = Dropout(0.5)
    inner = Sequential([Input((64,)), drop])
    outer = Sequential([Input((64,)), Activation("linear"), inner])
    rows = [tuple(drawn(model, (1, 64))[0]) for model in (inner, outer, inner, outer, outer, drop)]
    assert len(set(rows)) == len(rows)
    assert drop._draws[0].made == len(rows)
    assert outer._draws == [drop._draws[0]]


def test_layers_of_one_model_count_together():
    """A layer that has drawn more than the others takes them along: a number is used once."""
    first, second = Dropout(0.5), Dropout(0.5)
    for _ in range(5):
        drawn(first)
    drawn(Sequential([Input((100,)), first, second]))
    assert (first._draws[0].made, second._draws[0].made) == (6, 6)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))], ids=["deepcopy", "pickle"])
def test_copies_draw_on_alike(copied):
    model = network()
    losses(model, 1, shuffle=False)
    twin = copied(model)
    assert losses(model, 2, shuffle=False) == losses(twin, 2, shuffle=False)


def test_clones_begin_anew():
    seeded, unseeded = ones(seed=4), ones()
    first = drawn(seeded)
    drawn(unseeded)
    np.testing.assert_array_equal(drawn(clone_model(seeded)), first)
    assert not np.array_equal(drawn(clone_model(unseeded)), drawn(clone_model(unseeded)))


def test_a_loss_that_is_not_finite_changes_no_numbers(device):
    """The run stops in the middle of a step and goes on: with the numbers of its forward pass, and then with the next ones."""
    weights = []
    for bad in (False, True):
        set_random_seed(9)
        model = Sequential([Input((6,)), Dropout(0.5), Dense(1)])
        model.compile("sgd", "mae", device=device)  # whose gradient does not depend on the value
        y = np.full((24, 1), -100.0)
        if bad:
            y[7] = -np.inf
            with pytest.warns(RuntimeWarning, match="not finite"):
                model.fit(X, y, batch_size=4, epochs=2, verbose=0, shuffle=False, check_finite=False)
        else:
            model.fit(X, y, batch_size=4, epochs=2, verbose=0, shuffle=False)
        weights.append(np.concatenate([weight.ravel() for weight in model.get_weights()]))
    assert np.isfinite(weights[0]).all()
    np.testing.assert_array_equal(*weights)


# -- training ------------------------------------------------------------------------------------------------------------


def test_gradients_are_those_of_the_numbers_drawn():
    """Central differences in float64 with the same draw, over dropout of every kind."""
    x = Input((4, 3), dtype="float64")
    hidden = Dropout(0.3, noise_shape=(None, 1, 3), dtype="float64")(Dense(3, activation="tanh", dtype="float64")(x))
    branch = Dropout(0.5, dtype="float64")(hidden)
    both = [Dense(2, dtype="float64")(Flatten(dtype="float64")(each)) for each in (hidden, branch)]
    model = Model(x, both)
    model.compile("sgd", ["mse", "mse"], device="reference")
    rng = np.random.default_rng(1)
    values, truth = rng.normal(size=(5, 4, 3)), [rng.normal(size=(5, 2)), rng.normal(size=(5, 2))]
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])

    def gradients():
        for draws in model._draws:
            draws.made = 17
        return model.gradients(values, truth)

    wanted = gradients()[1]
    for weight, gradient in zip(model.trainable_weights, wanted, strict=True):
        start = weight.numpy()
        for place in np.ndindex(*weight.shape):
            found = []
            for change in (1e-5, -1e-5):
                moved = start.copy()
                moved[place] += change
                weight.assign(moved)
                found.append(gradients()[0])
            weight.assign(start)
            assert (found[0] - found[1]) / 2e-5 == pytest.approx(gradient[place], rel=1e-6, abs=1e-8), (weight.path, place)


def test_training_converges(device):
    set_random_seed(1)
    model = network(device, rate=0.2, optimizer="adam", units=32)
    before = model.evaluate(X, Y, verbose=0)
    losses(model, 150)
    assert model.evaluate(X, Y, verbose=0) < before / 5


def test_all_dropped_leaves_the_bias_to_learn():
    model = network(rate=1, seed=0)
    kernel = model.layers[-1].kernel.numpy()
    losses(model)
    np.testing.assert_array_equal(model.layers[-1].kernel.numpy(), kernel)
    assert model.layers[-1].bias.numpy() != 0
