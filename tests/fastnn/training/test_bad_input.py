"""Bad input: each a clear error, before anything changes."""

import numpy as np
import pandas as pd
import pytest

from fastnn import Input, Sequential
from fastnn.layers import Dense

X = np.random.default_rng(0).normal(size=(6, 3))
LABELS = np.array([0, 1, 2, 0, 1, 2])
NAMES = np.array(["a", "b", "c", "a", "b", "c"])


def with_value(value, place=(2, 1)):
    """``X`` with one value replaced."""
    changed = X.copy()
    changed[place] = value
    return changed


FRAME = pd.DataFrame(X, columns=["age", "mass", "height"])

CLASSIFIER = {
    "features": (
        (X[:, :2], LABELS),
        r"x has shape \(6, 2\), the model takes \(N, 3\): 2 features where it expects 3. Change",
    ),
    "one sample": ((X[0], LABELS[:3]), r"x has shape \(3,\), the model takes \(N, 3\). For a single sample write x\[np.newaxis\]"),
    "transposed": ((X.T, LABELS[:3]), r"x has shape \(3, 6\), .* Samples are rows: write x.T"),
    "images": ((X.reshape(6, 1, 3), LABELS), r"x has shape \(6, 1, 3\).* Write x.reshape\(-1, 3\)"),
    "classes from 1": ((X, LABELS + 1), r"y holds class numbers from 1 to 3; the model has 3 outputs.* 0: write y - 1"),
    "too many classes": ((X, LABELS * 2), r"y holds class numbers from 0 to 4; .*last layer Dense\(5\), or number"),
    "negative": ((X, LABELS - 1), r"y holds class numbers from -1 to 1.* y = np.unique\(y, return_inverse=True\)"),
    "fractions": (
        (X, LABELS + 0.5),
        "y holds 0.5 in row 0; loss 'sparse_categorical_crossentropy' takes whole class numbers",
    ),
    "missing label": ((X, np.where(LABELS == 2, np.nan, LABELS)), "y holds nan in row 2; loss 'sparse"),
    "names": ((X, NAMES), r"y has dtype <U1, not numbers .*'a'.* classes, y = np.unique\(y, return_inverse=True\)"),
    "list of names": ((X, list(NAMES)), r"classes, y = np.unique\(y, return_inverse=True\)"),
    "series of names": ((X, pd.Series(NAMES)), r"y .*classes, y = np.unique\(y, return_inverse=True\)"),
    "one-hot": (
        (X, np.eye(3)[LABELS]),
        r"y has shape \(6, 3\), .* one-hot rows: write loss='categorical_crossentropy'",
    ),
    "two columns": (
        (X, np.zeros((6, 2))),
        r"y has shape \(6, 2\), .* one class number per row, shape \(N,\), with numbers from 0",
    ),
    "nan": ((with_value(np.nan), LABELS), "x holds nan in row 2, column 1 .*check_finite=False"),
    "inf in a frame": ((FRAME.assign(mass=np.inf), LABELS), r"x holds inf in row 0, column 1 \('mass'\)"),
    "too large": ((with_value(1e300), LABELS), r"x holds 1e\+300 in row 2, column 1 .*too large for float32\. Scale it"),
    "hidden": ((np.ma.masked_greater(X, 0), LABELS), r"x is a masked array that hides values; x\.filled"),
    "wide labels": ((X, LABELS + 1e10), r"y holds class numbers .* Number the classes of all data"),
    "objects": ((X.astype(object), LABELS), r"x has dtype object, not numbers .* x.astype\(float\)"),
    "text": ((np.tile(NAMES[:, None], 3), LABELS), "x has dtype <U.*, not numbers .* pandas.get_dummies"),
    "numbers as text": ((X.astype(str), LABELS), r"x has dtype <U.*, not numbers .*numbers as text: write x.astype\(float\)"),
    "text in a frame": ((FRAME.assign(sex=NAMES), LABELS), "column 'sex' of x is of type .*, not numbers"),
    "dates": ((np.zeros((6, 3), "M8[s]"), LABELS), r"x has dtype datetime64\[s\], not numbers .* days since"),
    "complex": ((X * 1j, LABELS), "x has dtype complex128.* real and imaginary"),
    "lengths": ((X, LABELS[:5]), "Data cardinality is ambiguous.* 'x' sizes: 6, 'y' sizes: 5"),
    "empty": ((X[:0], LABELS[:0]), "x is empty"),
    "no x": ((None, LABELS), "x is None"),
    "no y": ((X,), "y is None"),
    "a number": ((X, 3), "y is a single number, 3"),
    "ragged": (([[1.0, 2.0, 3.0], [1.0]], LABELS[:2]), "x is a list whose entries differ in length"),
    "an iterator": ((iter(X), LABELS), "x is of type .*iterator.* Collect"),
}

ARGUMENTS = {
    "batch_size 0": ({"batch_size": 0}, "batch_size must be an integer of at least 1, got 0"),
    "batch_size -1": ({"batch_size": -1}, "batch_size must be .* got -1"),
    "batch_size 2.5": ({"batch_size": 2.5}, "batch_size must be .* got 2.5"),
    "batch_size True": ({"batch_size": True}, "batch_size must be .* got True"),
    "validation_batch_size": ({"validation_batch_size": 0}, "validation_batch_size must be"),
    "epochs": ({"epochs": 1.5}, "epochs must be an integer of at least 0, got 1.5"),
    "verbose": ({"verbose": "loud"}, "verbose must be 0 .* got 'loud'"),
    "shuffle": ({"shuffle": "batch"}, "shuffle must be True or False, got 'batch'"),
    "validation_split": ({"validation_split": 1.5}, "validation_split must be between 0 and 1, got 1.5"),
    "nothing left": ({"validation_split": 0.99}, "6 samples, which is not sufficient to split"),
    "validation_data": ({"validation_data": X}, r"validation_data must be \(x, y\) or \(x, y, sample_weight\), got a ndarray"),
    "validation y": ({"validation_data": (X, LABELS + 1)}, "validation_data's y holds class numbers from 1 to 3"),
    "validation x": ({"validation_data": (X[:, :1], LABELS)}, r"validation_data's x has shape \(6, 1\)"),
    "weights' length": (
        {"sample_weight": np.ones(5)},
        r"sample_weight has shape \(5,\); it needs one .* shape \(6,\)",
    ),
    "weights' values": ({"sample_weight": np.full(6, np.nan)}, "sample_weight holds nan in row 0"),
    "both weights": ({"sample_weight": np.ones(6), "class_weight": {0: 1.0}}, "cannot `class_weight` and `sample_weight`"),
    "class_weight": ({"class_weight": np.ones(3)}, r"class_weight must be a dict .* dict\(enumerate\(weights\)\)"),
    "class names": ({"class_weight": {"a": 1.0}}, "class_weight must map class numbers to weights"),
}


def check_refused(model, message, *args, **kwargs):
    """``fit`` raises ValueError, and neither the weights nor the optimizer has moved."""
    before = [weight.copy() for weight in model.get_weights()]
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model.fit(*args, verbose=0, **{"epochs": 1} | kwargs)
    assert model.optimizer.iterations == 0
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(("args", "message"), CLASSIFIER.values(), ids=CLASSIFIER)
def test_data_that_a_classifier_refuses(classifier, args, message):
    check_refused(classifier(), message, *args)


@pytest.mark.parametrize(("kwargs", "message"), ARGUMENTS.values(), ids=ARGUMENTS)
def test_arguments_that_fit_refuses(classifier, kwargs, message):
    if "verbose" in kwargs:
        with pytest.raises(ValueError, match=message):
            classifier().fit(X, LABELS, **kwargs)
    else:
        check_refused(classifier(), message, X, LABELS, **kwargs)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (
            np.zeros((6, 2)),
            r"y has shape \(6, 2\), .* shape \(N, 1\): 2 values a sample against 1 output. .*Dense\(2\)",
        ),
        (np.array([0, 1, np.inf, 0, 0, 0]), "y holds inf in row 2, column 0"),
        (np.array(["1", "2"] * 3), r"y has dtype <U1.*first entry is '1'\). It holds numbers as text: write y.astype\(float\)"),
        (pd.Series(["1", "2"] * 3, dtype=object), r"It holds numbers as text: write y.astype\(float\)"),
        (np.zeros((6, 2, 2)), r"y has shape \(6, 2, 2\), .*they must agree"),
    ],
)
def test_data_that_a_regressor_refuses(regressor, y, message):
    check_refused(regressor(), message, X, y)


@pytest.mark.parametrize(
    ("loss", "y", "message"),
    [
        (
            "binary_crossentropy",
            LABELS,
            "y holds values from 0 to 2; loss 'binary_crossentropy' .* more than two classes",
        ),
        ("binary_crossentropy", LABELS % 2 + 1, "y holds values from 1 to 2.* write y - 1"),
        ("binary_crossentropy", LABELS % 2 * 2 - 1, r"y holds values from -1 to 1.* Write \(y \+ 1\) / 2"),
        (
            "sparse_categorical_crossentropy",
            LABELS % 2,
            "from 0 to 1; the model has 1 outputs.*'binary_crossentropy'",
        ),
    ],
)
def test_labels_that_one_output_refuses(regressor, loss, y, message):
    check_refused(regressor(loss=loss), message, X, y)


@pytest.mark.parametrize("y", [LABELS, LABELS[:, np.newaxis]])
def test_class_numbers_for_the_one_hot_loss_are_refused(classifier, y):
    message = r"For class numbers write loss='sparse_categorical_crossentropy', or y = fastnn.utils.to_categorical\(y, 3\)"
    check_refused(classifier(loss="categorical_crossentropy"), message, X, y)


def test_more_values_than_the_layer_has(regressor):
    check_refused(regressor(units=2), r"1 value a sample against 2 outputs. Make the last layer Dense\(1\)", X, X[:, 0])
    check_refused(regressor(units=2), r"3 values .* or give y 2 columns", X, X)


def test_labels_of_the_ignored_class_are_not_looked_at(classifier):
    from fastnn.losses import SparseCategoricalCrossentropy

    model = classifier(loss=SparseCategoricalCrossentropy(ignore_class=-1), metrics=())
    model.fit(X, LABELS - 1, verbose=0)
    assert model.optimizer.iterations == 1
    with pytest.raises(ValueError, match="from -2 to 2"):
        model.fit(X, np.where(LABELS == 0, -2, LABELS), verbose=0)


def test_check_finite_can_be_turned_off(classifier):
    with pytest.warns(RuntimeWarning, match="not finite any more in epoch 1, step 1"):
        history = classifier().fit(with_value(np.nan), LABELS, verbose=0, check_finite=False)
    assert np.isnan(history.history["loss"][0])


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch", "gradients"])
def test_a_model_that_is_not_compiled_says_so(method):
    with pytest.raises(ValueError, match=r"You must call `compile\(\)` before using the model"):
        getattr(Sequential([Dense(1)]), method)(X, LABELS)


def test_dicts_and_lists_of_the_wrong_outputs(two_heads):
    model = two_heads(loss=["bce", "mse"])
    check_refused(model, r"y must be a list of 2 arrays or a dict, for \['u', 'v'\]; got one ndarray", X, LABELS)
    check_refused(model, r"y is a dict with the keys \['u'\]; the model's are \['u', 'v'\]", X, {"u": LABELS})
    check_refused(model, r"x is a dict with the keys \['z'\]", {"z": X}, [LABELS % 2, X[:, :2]])
    check_refused(model, "'y\\[1\\]' sizes: 5", X, [LABELS % 2, X[:5, :2]])
    check_refused(model, "class_weight is for models with one output", X, [LABELS % 2, X[:, :2]], class_weight={0: 1.0})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": "mze"}, "'mze'. Did you mean 'mse'"),
        ({"loss": "mse", "metrics": ["acuracy"]}, "'acuracy'. Did you mean"),
        ({"loss": "mse", "metrics": "mae"}, r"metrics must be a list or a dict, got 'mae': write metrics=\['mae'\]"),
        ({"loss": "mse", "weighted_metrics": 3}, "weighted_metrics must be a list or a dict, got 3 of type int"),
        ({"loss": "mse", "optimizer": "adm"}, "'adm'. Did you mean 'adam'"),
        ({"loss": "mse", "device": "gpu9"}, "unknown device 'gpu9'"),
    ],
)
def test_compile_refuses_unknown_names_and_stays_as_it_was(regressor, arguments, message):
    model = regressor()
    optimizer = model.optimizer
    with pytest.raises(ValueError, match=message):
        model.compile(**arguments)
    assert model.optimizer is optimizer
    assert model.loss == "mse"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"loss": ["mse"]}, r"loss has 1 entries, \['mse'\]; the model has 2 outputs"),
        ({"loss": {"w": "mse"}}, r"loss names the outputs \['w'\]"),
        ({"loss": [None, None]}, "No loss to compute"),
        ({"loss": "mse", "loss_weights": 2.0}, "loss_weights must be a list or a dict"),
        ({"loss": "mse", "loss_weights": [1.0]}, "loss_weights must match the losses: got 1"),
        ({"loss": "mse", "loss_weights": "heavy"}, "loss_weights must be a number, a list or a dict"),
        ({"loss": "mse", "metrics": ["mae", "mae", "mse"]}, "metrics must have one entry per output"),
    ],
)
def test_losses_and_metrics_that_do_not_fit_the_outputs(two_heads, arguments, message):
    check_refused(two_heads(**arguments), message, X, [LABELS % 2, X[:, :2]])


def test_predict_checks_the_features_alone(regressor):
    model = regressor()
    assert np.isnan(model.predict(with_value(np.nan), verbose=0)[2])
    with pytest.raises(ValueError, match="2 features where it expects 3"):
        model.predict(X[:, :2])
    with pytest.raises(ValueError, match="batch_size must be"):
        model.predict(X, batch_size=0)


@pytest.mark.parametrize(
    ("loss", "y", "taker"),
    [
        ("sparse_categorical_crossentropy", LABELS, "loss 'sparse_categorical_crossentropy'"),
        ("categorical_crossentropy", np.eye(3)[LABELS], "metric 'accuracy'"),
        ("mse", LABELS, "metric 'accuracy'"),
    ],
)
def test_a_missing_flatten_is_named_and_so_is_what_takes_labels(loss, y, taker):
    model = Sequential([Input((4, 4)), Dense(3, activation="softmax")])
    model.compile("sgd", loss, metrics=["accuracy"])
    check_refused(
        model, rf"{taker} takes one class number per row, shape \(N, 4\)\. .*put a Flatten\(\) layer", np.zeros((6, 4, 4)), y
    )


def test_a_missing_flatten_is_named_for_values_too():
    model = Sequential([Input((4, 4)), Dense(1)])
    model.compile("sgd", "mse")
    check_refused(
        model, r"y has shape \(6,\), the model's output has shape \(N, 4, 1\)\. .*Flatten", np.zeros((6, 4, 4)), np.zeros(6)
    )


@pytest.mark.parametrize(
    ("method", "name", "text"),
    [
        ("fit", "nb_epoch", "Write epochs= instead of nb_epoch="),
        ("fit", "workers", "Leave it out: Keras 3 has no workers="),
        ("fit", "epoch", "Did you mean 'epochs'"),
        ("evaluate", "use_multiprocessing", "Leave it out"),
        ("predict", "batchsize", "Did you mean 'batch_size'"),
        ("compile", "metric", "Did you mean 'metrics'"),
        ("compile", "zzz", "$"),
    ],
)
def test_keywords_that_a_method_does_not_have(classifier, method, name, text):
    with pytest.raises(TypeError, match=rf"^{method}\(\) got an unexpected keyword argument '{name}'.*{text}"):
        getattr(classifier(), method)(**({} if method == "compile" else {"x": X}), **{name: 1})
