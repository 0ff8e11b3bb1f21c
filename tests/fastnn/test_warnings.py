"""Warnings name the line of the user's that asked for it."""

import inspect
import warnings

import numpy as np
import pytest

import fastnn as keras
from fastnn.layers import Dense, LeakyReLU, Softmax

X = np.zeros((4, 2), np.float32)


def diverges():
    model = keras.Sequential([keras.Input((2,)), Dense(1, bias_initializer=keras.initializers.Constant(1e30))])
    model.compile("sgd", "mse", device="reference")
    model.fit(X, X[:, :1], verbose=0)


def runs_out():
    model = keras.Sequential([keras.Input((2,)), Dense(1)])
    model.compile("sgd", "mse", device="reference")
    model.fit(X, X[:, :1], steps_per_epoch=9, verbose=0)


def reaches_nothing():
    x = keras.Input((2,))
    model = keras.Model(x, [Dense(1)(x), Dense(1)(x)])
    model.compile("sgd", ["mse", None], device="reference")
    model.fit(X, [X[:, :1], X[:, :1]], verbose=0)


def takes_logits():
    model = keras.Sequential([keras.Input((2,)), Dense(2, activation="softmax")])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True), device="reference")
    model.fit(X, np.zeros(4), verbose=0)


@pytest.mark.parametrize(
    ("function", "text"),
    [
        (diverges, "not finite"),
        (runs_out, "ran out of data"),
        (reaches_nothing, "no gradient reaches"),
        (takes_logits, "from_logits"),
        (lambda: Dense(1, "softmax"), "axis of length 1"),
        (lambda: Softmax()(keras.Input((1,))), "axis of length 1"),
        (lambda: LeakyReLU(alpha=0.1), "alpha"),
        (lambda: keras.optimizers.SGD(decay=0.1), "decay"),
        (lambda: keras.callbacks.EarlyStopping(mode="up"), "unknown"),
    ],
)
def test_warnings_name_the_line_of_the_user(function, text):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function()
    found = [warning for warning in caught if text in str(warning.message)]
    lines, first = inspect.getsourcelines(function)
    assert [warning.filename for warning in found] == [__file__]
    assert first <= found[0].lineno < first + len(lines)
