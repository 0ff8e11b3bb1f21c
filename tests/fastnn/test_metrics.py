"""Metrics on arrays and in programs."""

from functools import partial

import numpy as np
import pytest

from fastnn import Input, Sequential, losses, metrics
from fastnn.layers import Dense

Q, T = np.array([[0.2, 0.9], [1.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 1.0]])


def test_binary_accuracy_with_a_threshold_and_weights():
    metric = metrics.BinaryAccuracy(threshold=0.3)
    metric.update_state(T, Q, sample_weight=[2.0, 0.5])
    metric.update_state(T, Q)
    assert float(metric.result()) == pytest.approx(0.8333333333333334)  # Keras 3.15.1
    metric.reset_state()
    assert float(metric.result()) == 0.0


@pytest.mark.parametrize(
    ("metric", "y_true", "y_pred", "expected"),
    [
        (metrics.CategoricalAccuracy(), np.eye(3), [[1, 0, 0], [0, 0, 1], [0.2, 0.2, 0.6]], 2 / 3),
        (metrics.SparseCategoricalAccuracy(), [0, 1, 2], [[1, 0, 0], [0, 0, 1], [0.2, 0.2, 0.6]], 2 / 3),
        (metrics.SparseCategoricalAccuracy(), [[0], [0]], [[1, 0], [0.5, 0.5]], 1.0),
        (metrics.BinaryAccuracy(), [1, 0, 0], [[0.6], [0.5], [0.7]], 2 / 3),
        (metrics.MeanSquaredError(), [1.0, 2.0], [[3.0], [5.0]], 6.5),
        (metrics.MeanAbsoluteError(), [1.0, 2.0], [[3.0], [5.0]], 2.5),
        (metrics.RootMeanSquaredError(), [1.0, 2.0], [[3.0], [5.0]], np.sqrt(6.5)),
        (metrics.BinaryCrossentropy(), [[1.0]], [[0.5]], np.log(2)),
        (metrics.CategoricalCrossentropy(from_logits=True), [[1.0, 0.0]], [[3.0, 3.0]], np.log(2)),
        (metrics.SparseCategoricalCrossentropy(), [1], [[0.5, 0.5]], np.log(2)),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_values(metric, y_true, y_pred, expected):
    assert float(metric(y_true, y_pred)) == pytest.approx(expected, rel=1e-6)


def test_root_mean_squared_error_takes_the_root_of_all_batches_together():
    metric = metrics.RootMeanSquaredError()
    metric.update_state([[0.0]], [[1.0]])
    metric.update_state([[0.0], [0.0], [0.0]], [[3.0], [3.0], [3.0]])
    assert float(metric.result()) == pytest.approx(np.sqrt(7.0))


def test_mean_of_values():
    mean = metrics.Mean()
    mean.update_state([1.0, 3.0], sample_weight=[3.0, 1.0])
    assert float(mean(4.0)) == pytest.approx(2.0)


@pytest.mark.parametrize(
    ("output", "target", "cls"),
    [
        ((None, 1), (None,), metrics.BinaryAccuracy),
        ((None, 1), (None, 1), metrics.BinaryAccuracy),
        ((None, 3), (None,), metrics.SparseCategoricalAccuracy),
        ((None, 3), (None, 1), metrics.SparseCategoricalAccuracy),
        ((None, 3), (None, 3), metrics.CategoricalAccuracy),
    ],
)
@pytest.mark.parametrize("name", ["accuracy", "acc", "Accuracy", "ACC"])
def test_accuracy_is_the_one_that_fits_and_keeps_its_name(name, output, target, cls):
    metric = metrics.resolve(name, output, target)
    assert (type(metric), metric.name) == (cls, name)


@pytest.mark.parametrize(
    ("identifiers", "cls"),
    [
        ("mse MSE mean_squared_error MeanSquaredError", metrics.MeanSquaredError),
        ("mae MAE mean_absolute_error MeanAbsoluteError", metrics.MeanAbsoluteError),
        ("bce BCE binary_crossentropy BinaryCrossentropy", metrics.BinaryCrossentropy),
        ("root_mean_squared_error RootMeanSquaredError", metrics.RootMeanSquaredError),
        ("binary_accuracy BinaryAccuracy", metrics.BinaryAccuracy),
        ("categorical_accuracy CategoricalAccuracy", metrics.CategoricalAccuracy),
        ("sparse_categorical_accuracy SparseCategoricalAccuracy", metrics.SparseCategoricalAccuracy),
        ("categorical_crossentropy", metrics.CategoricalCrossentropy),
        ("sparse_categorical_crossentropy", metrics.SparseCategoricalCrossentropy),
    ],
)
def test_every_spelling_keeps_its_name(identifiers, cls):
    for identifier in identifiers.split():
        metric = metrics.resolve(identifier, (None, 3), (None, 3))
        assert (type(metric), metric.name) == (cls, identifier)
    assert type(metrics.resolve(cls, (None, 3), (None, 3))) is cls


@pytest.mark.parametrize(
    ("identifier", "name", "direction"),
    [
        (losses.MeanSquaredError(), "mean_squared_error", "down"),
        (losses.BinaryCrossentropy(name="mine"), "mine", "down"),
        (losses.mean_absolute_error, "mean_absolute_error", "down"),
        (partial(losses.binary_crossentropy, from_logits=True), "binary_crossentropy", "down"),
        (metrics.binary_accuracy, "binary_accuracy", "up"),
        (partial(metrics.binary_accuracy, threshold=0.2), "binary_accuracy", "up"),
        (metrics.categorical_accuracy, "categorical_accuracy", "up"),
        (metrics.sparse_categorical_accuracy, "sparse_categorical_accuracy", "up"),
    ],
)
def test_losses_and_functions_are_metrics(identifier, name, direction):
    metric = metrics.resolve(identifier, (None, 3), (None, 3))
    assert (metric.name, metric._direction) == (name, direction)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: metrics.get("acuracy"), "Did you mean 'accuracy'"),
        (lambda: metrics.get("rmse"), "root_mean_squared_error"),
        (lambda: metrics.get(lambda y, p: p), "functions and classes of your own are not supported yet"),
        (lambda: metrics.resolve(metrics.Mean(), (None, 1), (None, 1)), "takes no y_true and y_pred"),
        (lambda: metrics.SparseCategoricalCrossentropy(ignore_class=1), "cannot be a metric"),
        (lambda: metrics.BinaryAccuracy()([[1.0, 0.0]], [[1.0]]), "must have the same shape"),
        (lambda: metrics.SparseCategoricalAccuracy()([2], [[1.0, 0.0]]), "whole numbers from 0 to 1"),
    ],
)
def test_what_does_not_fit_is_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize("cls", [metrics.Metric, type("Mine", (metrics.Metric,), {})])
def test_a_metric_of_ones_own_is_refused_when_it_is_compiled(cls):
    model = Sequential([Input((2,)), Dense(1)])
    model.compile("sgd", "mse", metrics=[cls(name="mine")], device="reference")
    with pytest.raises(TypeError, match="metrics of your own are not supported yet"):
        model.evaluate(np.eye(2), np.ones(2), verbose=0)


@pytest.mark.parametrize(
    "metric",
    [
        metrics.BinaryAccuracy(threshold=0.25, name="mine"),
        metrics.CategoricalCrossentropy(label_smoothing=0.5),
        metrics.BinaryCrossentropy(from_logits=True),
        metrics.SparseCategoricalCrossentropy(from_logits=True),
        metrics.RootMeanSquaredError(dtype="float64"),
        metrics.Mean(),
    ],
)
def test_configurations_go_both_ways(metric):
    copy = metrics.deserialize(metrics.serialize(metric))
    assert type(copy) is type(metric)
    assert copy.get_config() == metric.get_config()


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_binary_accuracy_of_a_sigmoid_output_is_that_of_its_predictions(threshold):
    x, y = np.linspace(-4, 4, 41)[:, None], np.arange(41) % 2
    model = Sequential([Input((1,)), Dense(1, activation="sigmoid", kernel_initializer="ones")])
    metric = metrics.BinaryAccuracy(threshold=threshold)
    model.compile("sgd", "bce", metrics=[metric], device="reference")
    _, got = model.evaluate(x, y, verbose=0)
    expected = metrics.BinaryAccuracy(threshold=threshold)(y, model.predict(x, verbose=0))
    assert got == pytest.approx(float(expected))
    assert "sigmoid" not in [row.op for row in model._runtime.program("test", False).rows]


@pytest.mark.parametrize("name", ["update_state", "result", "values"])
def test_a_metric_whose_override_would_be_ignored_is_refused_by_compile(name):
    own = type("Own", (metrics.MeanSquaredError,), {name: lambda self, *arguments: 7.0})
    model = Sequential([Input((1,)), Dense(1)])
    with pytest.raises(TypeError, match=rf"class Own defines {name}\(\), .* Metrics of your own are not supported yet in compile"):
        model.compile("sgd", "mse", metrics=[own()])
