"""What dropout draws: new numbers in every step, the same in every run of a program; and training with them."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from fastnn import Input, Model, Sequential, config
from fastnn.layers import Activation, Dense, Dropout, Flatten
from fastnn.models import clone_model
from fastnn.utils import set_random_seed
from tests.fastnn.dropout_models import X, Y, drawn, losses, network, ones


@pytest.fixture(params=["reference", "cpu"])
def device(request):
    return request.param


# -- the same numbers again, and never again -----------------------------------------------------------------------------


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
