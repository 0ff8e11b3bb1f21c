"""``predict``, calling a model, ``evaluate`` and the methods that take one batch."""

import copy
import pickle
import sys

import numpy as np
import pytest

from fastnn import Input, Model, Sequential
from fastnn.callbacks import LambdaCallback
from fastnn.layers import Dense
from fastnn.optimizers import SGD
from fastnn.tensor import Tensor


@pytest.fixture
def model(regressor, device):
    return regressor(device)


def expected(model, x):
    kernel, bias = model.get_weights()
    return x.astype(np.float32) @ kernel + bias


@pytest.mark.parametrize("rows", [1, 5, 32, 33, 300, 1000])
def test_predictions_of_any_number_of_rows(model, rows):
    x = np.random.default_rng(rows).normal(size=(rows, 3))
    for found in (model.predict(x, verbose=0), model.predict(x, batch_size=7, verbose=0), model(x), model.predict_on_batch(x)):
        np.testing.assert_allclose(found, expected(model, x), rtol=1e-5, atol=1e-6)
        assert found.dtype == np.float32


def test_no_rows_give_no_rows(model):
    x = np.empty((0, 3))
    assert model.predict(x).shape == model(x).shape == (0, 1)


def test_predict_needs_no_compile_and_builds_the_model():
    model = Sequential([Dense(2)])
    assert model.predict([[1.0, 2.0, 3.0]], verbose=0).shape == (1, 2)
    assert model.built


def test_predictions_are_arrays_of_the_callers_own(model):
    x = np.ones((2, 3))
    first = model.predict(x, verbose=0)
    kept = first.copy()
    model.predict(-x, verbose=0)
    np.testing.assert_array_equal(first, kept)
    assert type(first) is np.ndarray
    assert type(model(x)) is Tensor
    assert type(model(x).numpy()) is np.ndarray


def test_the_arrays_of_a_call_are_let_go(regressor):
    model = regressor("cpu")
    x = np.ones((2, 3), np.float32)
    model.predict(x, verbose=0)
    model(x)
    before = sys.getrefcount(x)
    model.predict(x, verbose=0)
    model.evaluate(x, x[:, :1], verbose=0)
    model.fit(x, x[:, :1], verbose=0)
    assert sys.getrefcount(x) == before


def test_steps_limit_the_rows(model):
    x = np.ones((10, 3))
    assert model.predict(x, batch_size=4, steps=2, verbose=0).shape == (8, 1)
    y = np.arange(10.0)
    np.testing.assert_allclose(
        model.evaluate(x, y, batch_size=4, steps=2, verbose=0), model.evaluate(x[:8], y[:8], verbose=0), rtol=1e-6
    )


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_steps_without_a_batch_size_hold_all_rows(model, steps):
    x, y = np.random.default_rng(0).normal(size=(100, 3)), np.zeros(100)
    assert model.predict(x, steps=steps, verbose=0).shape == (100, 1)  # Keras 3.15.1
    np.testing.assert_allclose(model.evaluate(x, y, steps=steps, verbose=0), model.evaluate(x, y, verbose=0), rtol=1e-5)
    history = model.fit(x, y, steps_per_epoch=steps, verbose=0)
    assert model.optimizer.iterations == history.params["steps"] == steps


def test_predict_hooks_see_each_batch(model):
    x = np.random.default_rng(0).normal(size=(70, 3))
    parts = []
    out = model.predict(x, verbose=0, callbacks=LambdaCallback(on_predict_batch_end=lambda _, logs: parts.append(logs["outputs"])))
    assert [len(part) for part in parts] == [32, 32, 6]
    np.testing.assert_array_equal(np.concatenate(parts), out)


def test_the_bars_of_predict_and_evaluate_count_batches_of_32(model, capsys):
    x = np.ones((70, 3))
    model.predict(x)
    model.evaluate(x, x[:, 0])
    bar, loss = capsys.readouterr().out.splitlines()
    assert bar.startswith("3/3 ")
    assert loss.startswith("3/3 ")
    assert " - loss: " in loss


def test_outputs_given_as_a_dict_come_back_as_one():
    x = Input((3,))
    model = Model(x, {"a": Dense(1)(x), "b": Dense(2)(x)})
    found = model.predict(np.ones((4, 3)), verbose=0)
    assert {name: value.shape for name, value in found.items()} == {"a": (4, 1), "b": (4, 2)}
    model.compile("sgd", {"a": "mse", "b": "mae"}, device="reference")
    assert list(model.fit(np.ones((4, 3)), {"b": np.ones((4, 2)), "a": np.ones(4)}, verbose=0).history) == [
        "a_loss",
        "b_loss",
        "loss",
    ]


def test_evaluate_returns_a_number_a_list_or_a_dict(model, classifier, data):
    x, labels, y = data
    assert type(model.evaluate(x, y, verbose=0)) is float
    other = classifier()
    values = other.evaluate(x, labels, verbose=0)
    logs = other.evaluate(x, labels, verbose=0, return_dict=True)
    assert values == [logs["loss"], logs["accuracy"]]
    pred = other.predict(x, verbose=0)
    np.testing.assert_allclose(values, [-np.log(pred[np.arange(20), labels]).mean(), (pred.argmax(1) == labels).mean()], rtol=1e-5)


def test_one_batch_at_a_time_equals_fit_on_whole_batches(classifier, data, device):
    x, labels, _ = data
    by_batch, by_fit = classifier(device, optimizer="adam"), classifier(device, optimizer="adam")
    for rows in (slice(0, 8), slice(8, 16), slice(16, 20)):
        before = by_batch.test_on_batch(x[rows], labels[rows], return_dict=True)
        logs = by_batch.train_on_batch(x[rows], labels[rows], return_dict=True)
        assert logs == before
    by_fit.fit(x, labels, batch_size=8, shuffle=False, verbose=0)
    assert by_batch.optimizer.iterations == 3
    np.testing.assert_array_equal(by_batch.get_weights()[0], by_fit.get_weights()[0])
    by_batch.reset_metrics()


def test_train_on_batch_takes_class_weights(classifier, data):
    x, labels, _ = data
    one, other = classifier(), classifier()
    one.train_on_batch(x, labels, class_weight={0: 2.0})
    other.train_on_batch(x, labels, sample_weight=np.where(labels == 0, 2.0, 1.0))
    np.testing.assert_array_equal(one.get_weights()[0], other.get_weights()[0])


@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_are_those_of_the_update(regressor, data, device, weighted):
    x, _, y = data
    weights = np.linspace(0, 1, 20) if weighted else None
    model = regressor(device, optimizer=SGD(0.5), loss_weights=2.0)
    before = model.get_weights()
    loss, gradients = model.gradients(x, y, weights)
    assert type(loss) is float
    np.testing.assert_array_equal(before[0], model.get_weights()[0])
    assert loss == model.train_on_batch(x, y, weights)
    for old, new, gradient in zip(before, model.get_weights(), gradients, strict=True):
        np.testing.assert_allclose(new, old - 0.5 * gradient, rtol=1e-5, atol=1e-6)


def test_gradients_leave_out_frozen_weights(classifier, data):
    x, labels, _ = data
    model = classifier()
    model.layers[0].trainable = False
    _, gradients = model.gradients(x, labels)
    assert [gradient.shape for gradient in gradients] == [weight.shape for weight in model.trainable_weights] == [(4, 3), (3,)]


def test_a_loop_by_hand_equals_fit(classifier, data):
    x, labels, _ = data
    by_hand, by_fit = classifier(optimizer="adam"), classifier(optimizer="adam")
    for _ in range(3):
        _, gradients = by_hand.gradients(x, labels)
        by_hand.optimizer.apply_gradients(zip(gradients, by_hand.trainable_weights, strict=True))
    by_fit.fit(x, labels, epochs=3, verbose=0, shuffle=False)
    np.testing.assert_allclose(by_hand.get_weights()[0], by_fit.get_weights()[0], rtol=1e-5)
    by_hand.fit(x, labels, verbose=0, shuffle=False)  # goes on with the same state
    by_fit.fit(x, labels, verbose=0, shuffle=False)
    np.testing.assert_allclose(by_hand.get_weights()[0], by_fit.get_weights()[0], rtol=1e-5)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_predicts_the_same_and_trains_apart(classifier, data, duplicate):
    x, labels, _ = data
    model = classifier(optimizer="adam")
    model.fit(x, labels, verbose=0)
    twin = duplicate(model)
    np.testing.assert_array_equal(model.predict(x, verbose=0), twin.predict(x, verbose=0))
    kept = model.get_weights()[0]
    twin.fit(x, labels, verbose=0, shuffle=False)
    np.testing.assert_array_equal(kept, model.get_weights()[0])
    model.fit(x, labels, verbose=0, shuffle=False)
    np.testing.assert_array_equal(model.get_weights()[0], twin.get_weights()[0])
