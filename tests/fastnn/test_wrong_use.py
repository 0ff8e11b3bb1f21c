"""Mistakes with models, layers, optimizers and tensors outside training, and what is said of them."""

import numpy as np
import pytest

import fastnn as keras
from fastnn import callbacks, layers, models, optimizers


class Forgetful(keras.Model):
    def __init__(self):
        self.dense = layers.Dense(2)

    def call(self, x):
        return self.dense(x)


def model():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2)])


X, Y = np.zeros((10, 3)), np.zeros((10, 2))

MISTAKES = {
    "fractions": (lambda: fitted(validation_split=".1"), ValueError, "validation_split must be between 0 and 1, got '.1'"),
    "no super": (lambda: Forgetful().predict(X), AttributeError, r"Forgetful\.__init__ must call super\(\)\.__init__\(\) first"),
    "attribute": (lambda: model().weihgts, AttributeError, "'Sequential' object has no attribute 'weihgts'"),
    "ufunc": (lambda: np.tanh(keras.Input((3,))), TypeError, r"np\.tanh cannot compute with <KerasTensor .*activations\.tanh"),
    "method": (lambda: keras.Input((3,)).sum(), AttributeError, "<KerasTensor .*> has no 'sum': .* only layers and activations"),
    "length": (lambda: len(keras.Input((3,))), TypeError, "has no length; its sizes are in shape"),
    "number": (lambda: float(keras.Input((3,))), TypeError, "has no data, so it is no number"),
    "variable": (lambda: optimizers.SGD().apply_gradients([(1, 2)]), TypeError, "a gradient comes with a variable.*; got 2"),
    "configuration": (
        lambda: keras.Sequential.from_config({"a": 1}),
        ValueError,
        r"layers under 'layers'; got the keys \['a'\]",
    ),
    "clone": (lambda: models.clone_model("x"), TypeError, "clone_model takes a model, got 'x'"),
    "width": (lambda: model().summary(line_length="a"), TypeError, "line_length must be an integer, got 'a'"),
    "weights": (lambda: model().set_weights("ab"), ValueError, "takes one array of numbers per weight: could not convert"),
    "shape": (lambda: layers.Dense(10**12).build((None, 10**6)), ValueError, r"weight 'kernel' of layer 'dense\w*' of shape .* TB"),
    "arrays": (lambda: keras.Model([np.zeros((50, 50))], [X]), ValueError, r"must be what Input\(shape\).*; got (?=.{0,60}$)"),
    "patience": (lambda: callbacks.EarlyStopping(patience=-1), ValueError, "patience of EarlyStopping must be at least 0, got -1"),
}


def fitted(**arguments):
    trained = model()
    trained.compile("sgd", "mse")
    trained.fit(X, Y, verbose=0, **arguments)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake):
    make, error, text = MISTAKES[mistake]
    with pytest.raises(error, match=text):
        make()
