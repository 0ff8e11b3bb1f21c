"""Activation functions on arrays, on symbolic tensors, inside layers, and by name."""

from functools import partial

import numpy as np
import pytest

from fastnn import Input, Sequential, activations
from fastnn.layers import Activation, Dense, LeakyReLU

X = np.array([[-3.0, -0.5, 0.0, 0.5, 2.0, 9.0]])


def formula(name, x):
    return {
        "linear": x,
        "relu": np.maximum(x, 0.0),
        "leaky_relu": np.where(x > 0, x, 0.2 * x),
        "sigmoid": 1.0 / (1.0 + np.exp(-x)),
        "tanh": np.tanh(x),
        "softmax": np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True),
    }[name]


@pytest.mark.parametrize("name", ["linear", "relu", "leaky_relu", "sigmoid", "tanh", "softmax"])
def test_a_name_means_its_formula_on_arrays_and_in_a_model(name):
    function = activations.get(name)
    assert activations.serialize(function) == name
    np.testing.assert_allclose(function(X), formula(name, X), rtol=1e-12)
    model = Sequential([Input((6,)), Activation(name)])
    model.compile(device="reference")
    np.testing.assert_allclose(model.predict(X, verbose=0), formula(name, X), rtol=1e-6)


def test_relu_takes_all_four_parameters():
    got = activations.relu(X, negative_slope=0.1, max_value=6.0, threshold=1.0)
    np.testing.assert_allclose(got, [[-0.4, -0.15, -0.1, -0.05, 2.0, 6.0]])


@pytest.mark.parametrize("parameter", ["negative_slope", "max_value", "threshold"])
def test_relu_refuses_a_negative_parameter(parameter):
    with pytest.raises(ValueError, match=f"{parameter} of relu must be at least 0, got -1"):
        activations.relu(X, **{parameter: -1})


def test_results_have_the_float_dtype_of_an_array_and_floatx_otherwise():
    assert activations.tanh(X.astype(np.float32)).dtype == np.float32
    assert activations.tanh(X).dtype == np.float64
    assert activations.tanh([1, 2]).dtype == np.float32
    assert float(activations.sigmoid(0.0).numpy()) == 0.5


def test_softmax_is_over_the_last_axis_alone():
    assert activations.softmax(X, axis=1).shape == X.shape
    with pytest.raises(ValueError, match="axis of softmax must be the last one"):
        activations.softmax(X, axis=0)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: activations.relu(x, max_value=1.0),
        partial(activations.relu, max_value=1.0),
        lambda x: activations.relu(activations.linear(x), max_value=1.0),
    ],
    ids=["lambda", "partial", "composed"],
)
def test_a_function_made_of_ours_is_an_activation(function):
    model = Sequential([Input((6,)), Activation(function)])
    model.compile(device="reference")
    np.testing.assert_allclose(model.predict(X, verbose=0), np.clip(X, 0, 1))


def test_a_layer_is_an_activation():
    model = Sequential([Input((6,)), Dense(6, activation=LeakyReLU(0.5), kernel_initializer="identity")])
    model.compile(device="reference")
    np.testing.assert_allclose(model.predict(X, verbose=0), np.where(X > 0, X, X / 2))


@pytest.mark.parametrize("function", [np.tanh, lambda x: x * 2, lambda x: 1.0], ids=["numpy", "arithmetic", "constant"])
def test_a_function_that_computes_something_else_is_refused(function):
    model = Sequential([Input((6,)), Activation(function)])
    model.compile(device="reference")
    with pytest.raises(TypeError, match=r"cannot be compiled: it must be one of fastnn\.activations"):
        model.predict(X, verbose=0)


def test_on_a_symbolic_tensor_an_activation_is_a_layer():
    out = activations.relu(Input((6,)), max_value=2.0)
    assert out.shape == (None, 6)
    assert type(out.node.layer) is Activation


def test_unknown_names_are_refused_with_near_matches():
    with pytest.raises(ValueError, match=r"Could not interpret activation function identifier: 'rleu'\. Did you mean 'relu'"):
        activations.get("rleu")
    with pytest.raises(TypeError, match="activation must be a name"):
        activations.get(3)
