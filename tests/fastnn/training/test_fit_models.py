"""``fit`` of models of every kind: several inputs and outputs, frozen, changed and shared ones, float64."""

import numpy as np
import pytest

from fastnn import Input, Model, Sequential
from fastnn.layers import Dense, Flatten
from fastnn.optimizers import SGD, Adam


def test_a_model_without_an_input_shape_is_built_by_the_data(data):
    x, _, y = data
    model = Sequential([Dense(4), Dense(1)])
    model.compile("sgd", "mse", device="reference")
    model.fit(x, y, verbose=0)
    assert model.output_shape == (None, 1)
    one = Sequential([Dense(1)])
    one.compile("sgd", "mse", device="reference")
    one.fit(x[:, 0], y, verbose=0)  # (N,) is one feature
    assert one.predict(x[:, 0], verbose=0).shape == (20, 1)


def test_several_outputs(two_heads, data):
    x, labels, y = data
    truth = {"u": labels % 2, "v": np.stack([y, -y], 1)}
    model = two_heads(
        loss={"u": "binary_crossentropy", "v": "mse"},
        loss_weights={"u": 0.5, "v": 2.0},
        metrics={"u": "accuracy", "v": ["mae", "mse"]},
        weighted_metrics={"v": ["mae"]},
    )
    history = model.fit(x, truth, verbose=0, validation_split=0.5).history
    names = ["loss", "u_accuracy", "u_loss", "v_loss", "v_mae", "v_mse", "v_weighted_mae"]
    assert list(history) == names + [f"val_{name}" for name in names]
    logs = model.evaluate(x, list(truth.values()), return_dict=True, verbose=0)
    np.testing.assert_allclose(logs["loss"], 0.5 * logs["u_loss"] + 2 * logs["v_loss"])
    np.testing.assert_allclose(logs["v_loss"], logs["v_mse"], rtol=1e-6)
    assert model.metrics_names == ["loss", "u_loss", "v_loss", "u_accuracy", "v_mae", "v_mse", "v_weighted_mae"]
    assert model.evaluate(x, truth, verbose=0) == [logs[name] for name in model.metrics_names]
    left, right = model.predict(x, verbose=0)
    assert (left.shape, right.shape) == ((20, 1), (20, 2))
    assert model._metric_directions()["u_accuracy"] == 1
    assert model._metric_directions()["v_loss"] == model._metric_directions()["v_mae"] == -1


def test_several_inputs_by_list_and_by_name(data):
    x, _, y = data
    a, b = Input((2,), name="a"), Input((1,), name="b")
    model = Model([a, b], [Dense(1, name="p")(a), Dense(1, name="q")(b)])
    model.compile("sgd", "mse", device="reference")
    by_list = model.predict([x[:, :2], x[:, 2]], verbose=0)
    by_name = model.predict({"b": x[:, 2:], "a": x[:, :2]}, verbose=0)
    np.testing.assert_array_equal(by_list, by_name)
    np.testing.assert_array_equal(by_list, model([x[:, :2], x[:, 2]]))
    model.fit([x[:, :2], x[:, 2]], [y, y], sample_weight={"p": np.ones(20), "q": np.zeros(20)}, verbose=0)
    with pytest.raises(ValueError, match="x must be a list of 2 arrays or a dict"):
        model.predict(x)
    with pytest.raises(ValueError, match=r"'x\[0\]' sizes: 20, 'x\[1\]' sizes: 3"):
        model.predict([x[:, :2], x[:3, 2]])


def test_outputs_with_several_rows_a_sample(device):
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(6, 2, 3)), rng.integers(0, 4, (6, 2))
    model = Sequential([Input((2, 3)), Dense(4, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], device=device)
    loss, _ = model.evaluate(x, labels, verbose=0)
    pred = model.predict(x, verbose=0)
    expected = -np.log(np.take_along_axis(pred, labels[..., np.newaxis], -1))
    np.testing.assert_allclose(loss, expected.mean(), rtol=1e-5)
    weights = np.arange(6.0)
    weighted = model.evaluate(x, labels, sample_weight=weights, verbose=0)[0]
    np.testing.assert_allclose(weighted, (expected[..., 0] * weights[:, np.newaxis]).mean(), rtol=1e-5)


def test_freezing_a_layer_takes_effect_at_the_next_fit(classifier, data):
    x, labels, _ = data
    model = classifier(optimizer="adam")
    model.fit(x, labels, verbose=0)
    first, last = model.layers
    first.trainable = False
    before = model.get_weights()
    model.fit(x, labels, epochs=2, verbose=0)
    np.testing.assert_array_equal(before[0], first.get_weights()[0])
    assert not np.array_equal(before[2], last.get_weights()[0])
    first.trainable = True
    model.fit(x, labels, verbose=0)
    assert not np.array_equal(before[0], first.get_weights()[0])


def test_one_optimizer_may_train_two_models_in_turn(regressor, data):
    x, _, y = data
    optimizer = Adam(0.01)
    first, second = regressor(optimizer=optimizer), regressor(optimizer=optimizer, units=1)
    for model in (first, second, first, second):
        before = model.get_weights()[0]
        model.fit(x, y, verbose=0)
        assert np.isfinite(model.get_weights()[0]).all()
        assert not np.array_equal(before, model.get_weights()[0])


def test_a_layer_added_later_makes_another_model(data):
    x, _, y = data
    model = Sequential([Input((3,)), Dense(2)])
    model.compile("sgd", "mse", device="reference")
    model.fit(x, np.stack([y, y], 1), verbose=0)
    model.add(Dense(1))
    model.fit(x, y, verbose=0)
    assert model.predict(x, verbose=0).shape == (20, 1)


def test_float64_models_compute_in_float64(data, device):
    x, _, y = data
    model = Sequential([Input((3,)), Dense(1, dtype="float64")])
    model.compile(SGD(0.05), "mse", device=device)
    kernel, bias = model.get_weights()
    losses = model.fit(x, y, shuffle=False, verbose=0).history["loss"]
    pred = x @ kernel[:, 0] + bias[0]
    np.testing.assert_allclose(losses, ((pred - y) ** 2).mean(), rtol=1e-12)
    assert model.predict(x, verbose=0).dtype == np.float64


def test_flatten_takes_images(data):
    model = Sequential([Input((2, 3)), Flatten(), Dense(1)])
    model.compile("sgd", "mse", device="reference")
    model.fit(np.ones((4, 2, 3)), np.ones(4), verbose=0)
    assert model.optimizer.iterations == 1
