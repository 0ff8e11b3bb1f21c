"""``fit``: the numbers by hand, batches, orders, validation, weights, reproducibility."""

import numpy as np
import pytest

import fastnn
from fastnn.callbacks import LambdaCallback
from fastnn.optimizers import SGD, Adam
from fastnn.training import fit


def by_hand(x, y, kernel, bias, order, batch, rate, weights=None):
    """One epoch of least squares by SGD in NumPy: the weights, and the epoch's loss."""
    total, x, y = 0.0, x.astype(np.float32).astype(float), y.astype(np.float32).astype(float)
    weights = np.ones(len(y)) if weights is None else weights
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        error, weight = x[rows] @ kernel[:, 0] + bias[0] - y[rows], weights[rows]
        total += (weight * error**2).sum()
        slope = 2 * weight * error / len(rows)
        kernel, bias = kernel - rate * (x[rows].T @ slope)[:, np.newaxis], bias - rate * slope.sum()
    return kernel, bias, total / len(order)


@pytest.mark.parametrize("batch", [1, 3, 8, 20, 64, None])
def test_epochs_equal_the_loop_written_out(regressor, data, device, batch):
    x, _, y = data
    model = regressor(device, optimizer=SGD(0.05))
    kernel, bias = (weight.astype(float) for weight in model.get_weights())
    losses = []
    for _ in range(3):
        kernel, bias, loss = by_hand(x, y, kernel, bias, np.arange(20), batch or 32, 0.05)
        losses.append(loss)
    history = model.fit(x, y, batch_size=batch, epochs=3, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-4)
    np.testing.assert_allclose(model.get_weights()[0], kernel, rtol=1e-3, atol=1e-5)
    assert model.optimizer.iterations == 3 * -(-20 // (batch or 32))
    assert history.params == {"verbose": 0, "epochs": 3, "steps": -(-20 // (batch or 32))}


def test_history_holds_python_floats_and_is_kept_on_the_model(classifier, data):
    x, labels, _ = data
    model = classifier()
    history = model.fit(x, labels, epochs=2, validation_split=0.3, verbose=0)
    assert list(history.history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert all(type(value) is float for values in history.history.values() for value in values)
    assert history.epoch == [0, 1]
    assert history is model.history
    assert history.model is model
    assert model.metrics_names == ["loss", "accuracy"]
    assert [metric.name for metric in model.metrics] == ["accuracy"]


@pytest.mark.parametrize("kind", ["float64", "float32", "int8", "list", "frame"])
def test_inputs_of_any_kind_train_alike(regressor, data, kind):
    import pandas as pd

    x = np.round(data[0] * 3)
    y = np.round(data[2])
    given = {"list": (x.tolist(), y.tolist()), "frame": (pd.DataFrame(x), pd.Series(y))}.get(kind)
    model = regressor()
    model.fit(*given or (x.astype(kind), y.astype(kind)), verbose=0, shuffle=False)
    same = regressor()
    same.fit(x, y[:, np.newaxis], verbose=0, shuffle=False)
    np.testing.assert_array_equal(model.get_weights()[0], same.get_weights()[0])


def test_a_seed_gives_the_same_bits_again_and_another_seed_another_order(classifier, data, device):
    x, labels, _ = data

    def train(seed):
        fastnn.utils.set_random_seed(seed)
        model = classifier(device)
        model.fit(x, labels, epochs=3, batch_size=4, verbose=0)
        return b"".join(weight.tobytes() for weight in model.get_weights())

    assert train(1) == train(1)
    assert train(1) != train(2)


def orders_of(model, samples, epochs, **arguments):
    """The order of the samples in each epoch of a ``fit``."""
    found, sessions = [], []

    class Watched(fit.Training):
        def __init__(self, model, runtime, resolved, samples, session, **kwargs):
            sessions.append(session)
            super().__init__(model, runtime, resolved, samples, session, **kwargs)

    def note(epoch, logs):
        (session,) = sessions
        names = [slot.name for slot in session.program.inputs]
        found.append(session.memory.inputs[names.index("index")].copy())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit, "Training", Watched)
        watch = LambdaCallback(on_epoch_end=note)
        model.fit(np.zeros((samples, 3)), np.zeros(samples), epochs=epochs, verbose=0, callbacks=watch, **arguments)
    return found


def test_each_epoch_has_its_own_order_and_holds_every_sample_once(regressor, device):
    orders = orders_of(regressor(device), 30, 3, batch_size=7)
    assert all(sorted(order) == list(range(30)) for order in orders)
    assert len({order.tobytes() for order in orders}) == 3


def test_the_order_follows_from_the_seed_alone(regressor):
    found = []
    for device, batch in (("reference", 7), ("cpu", 30)):
        model = regressor(device)
        fastnn.utils.set_random_seed(5)
        found.append(np.array(orders_of(model, 30, 2, batch_size=batch)))
    np.testing.assert_array_equal(found[1], found[0])


def test_a_pass_that_several_epochs_share_keeps_its_order(regressor, device):
    first, second, third, fourth = orders_of(regressor(device), 30, 4, batch_size=5, steps_per_epoch=3)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(third, fourth)
    assert not np.array_equal(first, third)


def test_a_second_fit_goes_on_and_compile_starts_the_optimizer_anew(regressor, data):
    x, _, y = data
    once, twice = regressor(optimizer=Adam(0.05)), regressor(optimizer=Adam(0.05))
    once.fit(x, y, epochs=4, shuffle=False, verbose=0)
    twice.fit(x, y, epochs=1, shuffle=False, verbose=0)
    history = twice.fit(x, y, epochs=4, initial_epoch=1, shuffle=False, verbose=0)
    assert history.epoch == [1, 2, 3]
    np.testing.assert_array_equal(once.get_weights()[0], twice.get_weights()[0])
    weights = twice.get_weights()
    twice.compile("adam", "mae", device="reference")
    np.testing.assert_array_equal(weights[0], twice.get_weights()[0])
    assert twice.optimizer.iterations == 0
    assert list(twice.fit(x, y, verbose=0).history) == ["loss"]


def test_no_epochs_give_an_empty_history(regressor, data):
    x, _, y = data
    history = regressor().fit(x, y, epochs=2, initial_epoch=2, verbose=0)
    assert (history.history, history.epoch) == ({}, [])


def test_validation_sees_the_weights_after_the_epoch(regressor, data):
    x, _, y = data
    model = regressor()
    split = model.fit(x, y, validation_split=0.25, shuffle=False, verbose=0).history
    assert split["val_loss"] == [model.evaluate(x[15:], y[15:], verbose=0)]
    given = regressor()
    history = given.fit(x[:15], y[:15], validation_data=(x[15:], y[15:]), shuffle=False, verbose=0).history
    assert history == split
    weighted = given.fit(x[:15], y[:15], validation_data=(x[15:], y[15:], np.zeros(5)), validation_batch_size=2, verbose=0)
    assert weighted.history["val_loss"] == [0.0]


@pytest.mark.parametrize(("frequency", "count"), [(1, 4), (2, 2), (3, 1), ([1, 4], 2)])
def test_validation_may_be_rarer(regressor, data, frequency, count):
    x, _, y = data
    history = regressor().fit(x, y, epochs=4, validation_split=0.5, validation_freq=frequency, verbose=0).history
    assert len(history["val_loss"]) == count


def test_sample_weights_scale_the_loss_and_class_weights_are_sample_weights(regressor, classifier, data):
    x, labels, y = data
    weights = np.linspace(0, 2, 20).astype(np.float32)
    model = regressor(optimizer=SGD(0.05), metrics=["mse"], weighted_metrics=["mse"])
    kernel, bias = (weight.astype(float) for weight in model.get_weights())
    plain = model.evaluate(x, y, verbose=0)
    _, _, loss = by_hand(x, y, kernel, bias, np.arange(20), 20, 0.05, weights)
    found = model.fit(x, y, batch_size=20, sample_weight=weights, shuffle=False, verbose=0).history
    np.testing.assert_allclose(found["loss"], loss, rtol=1e-5)
    np.testing.assert_allclose(found["mse"], plain[0], rtol=1e-5)  # metrics do not see weights
    np.testing.assert_allclose(found["weighted_mse"], loss * 20 / weights.sum(), rtol=1e-5)
    by_class, by_sample = classifier(), classifier()
    by_class.fit(x, labels, class_weight={1: 3.0}, shuffle=False, verbose=0, validation_split=0.2)
    by_sample.fit(x[:16], labels[:16], sample_weight=np.where(labels[:16] == 1, 3.0, 1.0), shuffle=False, verbose=0)
    np.testing.assert_array_equal(by_class.get_weights()[0], by_sample.get_weights()[0])


def test_steps_per_epoch_cut_a_pass_into_epochs(regressor, data):
    x, _, y = data
    whole, cut = regressor(), regressor()
    whole.fit(x, y, batch_size=5, shuffle=False, verbose=0)
    history = cut.fit(x, y, batch_size=5, steps_per_epoch=2, epochs=2, shuffle=False, verbose=0)
    np.testing.assert_array_equal(whole.get_weights()[0], cut.get_weights()[0])
    assert len(history.history["loss"]) == 2
    with pytest.warns(UserWarning, match="ran out of data; the epoch has 4 steps instead of 9: 20 samples make 4 batches of 5"):
        cut.fit(x, y, batch_size=5, steps_per_epoch=9, verbose=0)


def test_a_batch_size_far_above_the_samples_is_one_batch_of_them(regressor, data, device):
    x, _, y = data
    huge, exact = regressor(device), regressor(device)
    arguments = {"epochs": 2, "validation_data": (x[:7], y[:7]), "shuffle": False, "verbose": 0}
    found = huge.fit(x, y, batch_size=2**40, validation_batch_size=2**70, **arguments)
    wanted = exact.fit(x, y, batch_size=20, validation_batch_size=7, **arguments)
    assert found.history == wanted.history
    assert found.params == wanted.params
    assert huge.optimizer.iterations == 2
    assert huge.evaluate(x, y, batch_size=2**40, verbose=0) == exact.evaluate(x, y, batch_size=20, verbose=0)
    many = np.tile(x, (100, 1))
    for rows in (0, 20, 2000):
        found = huge.predict(many[:rows], batch_size=2**40, steps=3, verbose=0)
        np.testing.assert_array_equal(found, exact.predict(many[:rows], verbose=0))
