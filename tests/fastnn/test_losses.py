"""Losses on arrays and in programs. Numbers marked so are Keras 3.15.1's, in float64."""

from functools import partial

import numpy as np
import pytest

from fastnn import Input, Sequential, losses, metrics
from fastnn.layers import Activation, Dense

P = np.array([[0.1, 0.7, 0.2], [0.3, 0.3, 0.4]])
LABELS = np.array([1, 0])
ONE_HOT = np.eye(3)[LABELS]
WEIGHTS = np.array([2.0, 0.5])
Q, T = np.array([[0.2, 0.9], [1.0, 0.0]]), np.array([[0.0, 1.0], [1.0, 1.0]])
SPARSE = partial(losses.SparseCategoricalCrossentropy, dtype="float64")

KERAS_REDUCTIONS = [
    ("sum_over_batch_size", 0.7803238741323343, 0.6576681450202164, 0.35667494393873245, 0.7133498878774649),
    ("mean", 0.7803238741323343, 0.6576681450202164, 0.35667494393873245, 0.7133498878774649),
    ("sum", 1.5606477482646686, 1.3153362900404328, 0.35667494393873245, 0.7133498878774649),
    ("mean_with_sample_weight", 0.7803238741323343, 0.5261345160161731, 0.35667494393873245, 0.35667494393873245),
]


@pytest.mark.parametrize(("reduction", "plain", "weighted", "ignoring", "both"), KERAS_REDUCTIONS)
def test_reductions_with_weights_and_an_ignored_class_are_keras(reduction, plain, weighted, ignoring, both):
    whole, part = SPARSE(reduction=reduction), SPARSE(reduction=reduction, ignore_class=0)
    got = [whole(LABELS, P), whole(LABELS, P, WEIGHTS), part(LABELS, P), part(LABELS, P, WEIGHTS)]
    np.testing.assert_allclose(got, [plain, weighted, ignoring, both], rtol=1e-12)


@pytest.mark.parametrize("reduction", [None, "none"])
def test_without_reduction_there_is_a_value_a_row(reduction):
    loss = SPARSE(reduction=reduction, ignore_class=0)
    np.testing.assert_allclose(loss(LABELS, P, WEIGHTS), [0.7133498878774649, 0.0], rtol=1e-12)


@pytest.mark.parametrize(
    ("loss", "y_true", "y_pred", "expected"),
    [
        (losses.BinaryCrossentropy(label_smoothing=0.1, dtype="float64"), T, Q, 4.156443849205971),
        (losses.CategoricalCrossentropy(label_smoothing=0.1, dtype="float64"), ONE_HOT, P * 2, 0.8288403915506493),
        (losses.BinaryCrossentropy(True, label_smoothing=0.2, dtype="float64"), T, Q * 9 - 4, 1.2190964221954346),
        (losses.MeanSquaredError(), [1.0, 2.0], [[3.0], [5.0]], 6.5),
        (losses.MeanAbsoluteError(), [[1.0], [2.0]], [3.0, 5.0], 2.5),
    ],
)
def test_values_are_keras(loss, y_true, y_pred, expected):
    assert float(loss(y_true, y_pred)) == pytest.approx(expected, rel=1e-7)  # Keras rounds label_smoothing to float32


def test_logits_and_their_probabilities_have_one_loss():
    logits = np.log(P) + 5.0
    for function, y in ((losses.sparse_categorical_crossentropy, LABELS), (losses.categorical_crossentropy, ONE_HOT)):
        np.testing.assert_allclose(function(y, logits, from_logits=True), function(y, P), rtol=1e-6)


@pytest.mark.parametrize("shape", [(2,), (2, 1), (4, 3), (4, 3, 1)], ids=str)
def test_labels_may_have_a_last_axis_of_one(shape):
    labels = np.zeros(shape, np.int64)
    rows = shape if shape[-1] != 1 else shape[:-1]
    values = losses.sparse_categorical_crossentropy(labels, np.full((*rows, 5), 0.2))
    assert values.shape == rows
    np.testing.assert_allclose(values, np.log(5), rtol=1e-6)


def test_weights_of_samples_go_to_all_rows_of_a_sample():
    y_true, y_pred = np.zeros((2, 3, 1)), np.ones((2, 3, 1))
    assert float(losses.MeanSquaredError(reduction="sum")(y_true, y_pred, [1.0, 10.0])) == 33.0
    assert float(losses.MeanSquaredError(reduction="sum")(y_true, y_pred, np.ones((2, 3)))) == 6.0
    with pytest.raises(ValueError, match=r"sample_weight of shape \(5,\) fits neither"):
        losses.MeanSquaredError()(y_true, y_pred, np.ones(5))


@pytest.mark.parametrize(
    ("function", "y_true", "y_pred", "text"),
    [
        (losses.mean_squared_error, np.ones((4, 2)), np.ones((4, 1)), r"y_true.shape=\(4, 2\), y_pred.shape=\(4, 1\)"),
        (losses.mean_squared_error, np.ones(2), np.ones((2, 2)), "must have the same shape"),
        (losses.mean_squared_error, 1.0, 2.0, "must have the same shape"),
        (losses.categorical_crossentropy, LABELS, P, "must have the same shape"),
        (losses.sparse_categorical_crossentropy, ONE_HOT, P, "One-hot labels go with categorical_crossentropy"),
        (losses.sparse_categorical_crossentropy, [1, 3], P, r"whole numbers from 0 to 2, got 3\. For classes 1..C write y - 1"),
        (losses.sparse_categorical_crossentropy, [1, -1], P, "got -1"),
        (losses.sparse_categorical_crossentropy, [1, 0.5], P, "got 0.5"),
        (losses.sparse_categorical_crossentropy, [1, np.nan], P, "got nan"),
        (losses.mean_squared_error, ["a"], [1.0], "y_true must hold numbers"),
    ],
)
def test_what_does_not_fit_is_refused(function, y_true, y_pred, text):
    with pytest.raises(ValueError, match=text):
        function(y_true, y_pred)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: losses.MeanSquaredError(reduction="average"), "`reduction` must be one of"),
        (lambda: losses.BinaryCrossentropy(label_smoothing=1.5), "`label_smoothing` must be from 0 to 1"),
        (lambda: losses.CategoricalCrossentropy(axis=0), "`axis` of categorical_crossentropy must be -1"),
        (lambda: losses.get("rmse"), "root_mean_squared_error"),
        (lambda: losses.get("mean_square_error"), "Did you mean 'mean_squared_error'"),
        (lambda: losses.get("crossentropy"), "Could not interpret loss identifier"),
        (lambda: losses.get(lambda y, p: p), "functions and classes of your own are not supported yet"),
        (lambda: losses.get(3), "Could not interpret loss identifier"),
        (lambda: losses.resolve(losses.MeanSquaredError(None), (None, 1), (None, 1)), "reduction='none'"),
    ],
)
def test_wrong_arguments_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize(
    ("identifiers", "cls"),
    [
        ("mse MSE mean_squared_error MeanSquaredError", losses.MeanSquaredError),
        ("mae MAE mean_absolute_error MeanAbsoluteError", losses.MeanAbsoluteError),
        ("bce BCE binary_crossentropy BinaryCrossentropy", losses.BinaryCrossentropy),
        ("categorical_crossentropy CategoricalCrossentropy", losses.CategoricalCrossentropy),
        ("sparse_categorical_crossentropy SparseCategoricalCrossentropy", losses.SparseCategoricalCrossentropy),
    ],
)
def test_every_spelling(identifiers, cls):
    for identifier in (*identifiers.split(), cls, cls(), {"class_name": cls.__name__}):
        assert type(losses.resolve(identifier, (None, 3), (None, 3))) is cls


def test_a_partial_keeps_its_arguments():
    loss = losses.resolve(partial(losses.binary_crossentropy, from_logits=True), (None, 1), (None, 1))
    assert loss.from_logits


@pytest.mark.parametrize(
    ("output", "target", "cls"),
    [
        ((None, 1), (None,), losses.BinaryCrossentropy),
        ((None, 3), (None,), losses.SparseCategoricalCrossentropy),
        ((None, 3), (None, 1), losses.SparseCategoricalCrossentropy),
        ((None, 3), (None, 3), losses.CategoricalCrossentropy),
        ((None, 4, 3), (None, 4), losses.SparseCategoricalCrossentropy),
    ],
)
@pytest.mark.parametrize("name", ["crossentropy", "ce", "CrossEntropy"])
def test_crossentropy_is_the_one_that_fits(name, output, target, cls):
    assert type(losses.resolve(name, output, target)) is cls


@pytest.mark.parametrize(
    "loss",
    [
        SPARSE(from_logits=True, ignore_class=2, reduction="sum", name="mine"),
        losses.CategoricalCrossentropy(label_smoothing=0.25),
        losses.BinaryCrossentropy(label_smoothing=0.25, reduction=None),
        losses.MeanAbsoluteError(),
    ],
)
def test_configurations_go_both_ways(loss):
    copy = losses.deserialize(losses.serialize(loss))
    assert type(copy) is type(loss)
    assert copy.get_config() == loss.get_config()


@pytest.mark.parametrize(
    ("activation", "loss", "y", "op"),
    [
        ("softmax", losses.SparseCategoricalCrossentropy(), [0, 2], "softmax_cross_entropy"),
        (None, losses.SparseCategoricalCrossentropy(from_logits=True), [0, 2], "softmax_cross_entropy"),
        ("sigmoid", losses.SparseCategoricalCrossentropy(), [0, 2], "sparse_categorical_cross_entropy"),
        ("softmax", losses.CategoricalCrossentropy(), ONE_HOT, "softmax_cross_entropy_dense"),
        (None, losses.CategoricalCrossentropy(), ONE_HOT, "categorical_cross_entropy"),
        ("sigmoid", losses.BinaryCrossentropy(), ONE_HOT, "sigmoid_cross_entropy"),
        ("softmax", losses.BinaryCrossentropy(), ONE_HOT, "binary_cross_entropy"),
    ],
)
def test_a_cross_entropy_on_its_activation_is_the_fused_one(activation, loss, y, op):
    model = Sequential([Input((2,)), Dense(3), Activation(activation)])
    model.compile("sgd", loss, device="reference")
    model.gradients(np.eye(2), np.array(y))
    rows = model._runtime.program("gradients").rows
    assert op in [row.op for row in rows]
    if op.startswith(("softmax", "sigmoid")):
        assert not {"softmax", "sigmoid"} & {row.op for row in rows}
        assert not any(row.attribute("activation") for row in rows if row.op == "matmul")


def test_from_logits_on_a_softmax_warns_once_and_uses_the_logits():
    model = Sequential([Input((2,)), Dense(3, activation="softmax")])
    model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True), device="reference")
    with pytest.warns(UserWarning, match="the softmax's input is used as logits"):
        got, _ = model.gradients(np.eye(2), np.array([0, 2]))
    model.evaluate(np.eye(2), np.array([0, 2]), verbose=0)  # no second warning: it would be an error
    exact = losses.SparseCategoricalCrossentropy()([0, 2], model.predict(np.eye(2), verbose=0))
    assert got == pytest.approx(float(exact), rel=1e-5)


def test_a_loss_of_ones_own_is_refused_when_it_is_compiled():
    class Mine(losses.Loss):
        def call(self, y_true, y_pred):
            return np.abs(np.asarray(y_true) - y_pred).max(axis=-1)

    assert float(Mine()([[1.0, 2.0]], np.zeros((1, 2)))) == 2.0
    model = Sequential([Input((2,)), Dense(2)])
    for loss in (Mine(), Mine, [Mine()]):
        with pytest.raises(TypeError, match=r"class Mine defines call\(\), .* Losses of your own are not supported yet"):
            model.compile("sgd", loss)
        with pytest.raises(TypeError, match=r"class Mine defines call\(\), .* Losses of your own are not supported yet"):
            model.compile("sgd", "mse", metrics=[loss])


def test_a_loss_that_overrides_what_is_compiled_too_is_not_refused():
    class Twice(losses.MeanAbsoluteError):
        def call(self, y_true, y_pred):
            return 2 * super().call(y_true, y_pred)

        def lower(self, b, output, target, weight=None, scale=None, gradient=False):
            return super().lower(b, output, target, weight, scale, gradient)

    assert isinstance(losses.get(Twice), Twice)


def test_a_function_of_ones_own_is_refused_first_of_all_and_then_the_names_follow():
    def my_loss(y_true, y_pred):
        return y_pred

    for get, kind in ((losses.get, "loss"), (metrics.get, "metric")):
        with pytest.raises(ValueError, match=rf"^{kind} 'my_loss': functions and .* not supported yet\. Use one of '"):
            get(my_loss)


@pytest.mark.parametrize("label", [2**31, 2**32 + 1, -(2**31)])
def test_a_label_to_ignore_beyond_32_bits_is_refused(label):
    with pytest.raises(ValueError, match=r"ignore_class=.* is no label"):
        SPARSE(ignore_class=label)
