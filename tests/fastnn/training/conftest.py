"""Small models and data for the tests of training."""

import numpy as np
import pytest

from fastnn import Input, Model, Sequential
from fastnn.layers import Dense


def _randomized(model, seed=1):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.normal(size=weight.shape) * 0.5 for weight in model.get_weights()])
    return model


@pytest.fixture(params=["reference", "cpu"])
def device(request):
    """Every engine there is."""
    return request.param


@pytest.fixture
def classifier():
    """``classifier(device, **compile)``: 3 features, 4 hidden units, 3 classes, weights from a fixed seed."""

    def make(device="reference", loss="sparse_categorical_crossentropy", optimizer="sgd", metrics=("accuracy",), **kwargs):
        model = _randomized(Sequential([Input((3,)), Dense(4, activation="tanh"), Dense(3, activation="softmax")]))
        model.compile(optimizer, loss, metrics=list(metrics), device=device, **kwargs)
        return model

    return make


@pytest.fixture
def regressor():
    """``regressor(device, **compile)``: a linear model of 3 features and one output."""

    def make(device="reference", loss="mse", optimizer="sgd", units=1, **kwargs):
        model = _randomized(Sequential([Input((3,)), Dense(units)]))
        model.compile(optimizer, loss, device=device, **kwargs)
        return model

    return make


@pytest.fixture
def two_heads():
    """``two_heads(**compile)``: one input, the outputs u (1, sigmoid) and v (2)."""

    def make(**kwargs):
        x = Input((3,), name="x")
        hidden = Dense(4, activation="tanh")(x)
        model = _randomized(Model(x, [Dense(1, activation="sigmoid", name="u")(hidden), Dense(2, name="v")(hidden)]))
        model.compile("sgd", device="reference", **kwargs)
        return model

    return make


@pytest.fixture
def data():
    """``x`` (20, 3), class numbers ``labels`` (20,) from 0 to 2, ``values`` (20,)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    return x, np.arange(20) % 3, x @ [1.0, -2.0, 0.5] + 0.3
