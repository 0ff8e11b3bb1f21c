"""Layers: shapes, weights, calls on arrays and on tensors, configurations, refusals."""

import numpy as np
import pytest

import fastnn
from fastnn import Input, Model, Sequential, layers, utils
from fastnn.keras_tensor import KerasTensor
from fastnn.layers import Activation, Dense, Flatten, InputLayer, Layer, LeakyReLU, ReLU, Softmax


@pytest.fixture(autouse=True)
def _on_the_reference(monkeypatch):
    """These tests are about models, not about kernels."""
    monkeypatch.setenv("FASTNN_DEVICE", "reference")


def test_dense_is_a_product_a_bias_and_an_activation():
    x = np.array([[1.0, -2.0, 3.0]], np.float32)
    layer = Dense(2, activation="relu")
    out = layer(x)
    expected = np.maximum(x @ layer.kernel.numpy() + layer.bias.numpy(), 0.0)
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-6)
    assert out.dtype == np.float32


@pytest.mark.parametrize("shape", [(2, 3), (2, 4, 3), (2, 5, 4, 3)])
def test_dense_acts_on_the_last_axis(shape):
    x = np.arange(np.prod(shape)).reshape(shape) / 10
    layer = Dense(2, use_bias=False, dtype="float64")
    assert layer.compute_output_shape((None, *shape[1:])) == (None, *shape[1:-1], 2)
    np.testing.assert_allclose(layer(x), x @ layer.kernel.numpy(), rtol=1e-12)
    assert layer.bias is None
    assert layer.count_params() == 6


@pytest.mark.parametrize("units", [1, np.int64(3)])
def test_units_may_be_any_positive_integer(units):
    assert Dense(units).units == int(units)


@pytest.mark.parametrize("units", [0, -1, 3.0, "3", None, True])
def test_other_units_are_refused(units):
    with pytest.raises(ValueError, match="Received an invalid value for `units`, expected a positive integer"):
        Dense(units)


@pytest.mark.parametrize(
    "name",
    [
        *("kernel_regularizer", "bias_regularizer", "activity_regularizer"),
        *("kernel_constraint", "bias_constraint", "lora_rank", "quantization_config"),
    ],
)
def test_arguments_that_are_not_supported_yet_are_refused_by_name(name):
    assert Dense(2, **{name: None}).units == 2
    with pytest.raises(ValueError, match=f"argument `{name}` of Dense is not supported yet, got 'l2': leave it out"):
        Dense(2, **{name: "l2"})


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("unit", "Did you mean 'units'"),
        ("use_bais", "Did you mean 'use_bias'"),
        ("inputshape", "Did you mean 'input_shape'"),
        ("kernel_regulariser", "Did you mean 'kernel_regularizer'"),
        ("init", "Write kernel_initializer= instead of init="),
    ],
)
def test_unknown_keywords_are_refused_with_what_was_meant(wrong, right):
    with pytest.raises(ValueError, match=f"Unrecognized keyword arguments passed to Dense: .*{right}"):
        Dense(2, **{wrong: 3})


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Dense(2, name="a/b"), "`name` must be a string without '/'"),
        (lambda: Dense(2, trainable="no"), "`trainable` must be True or False"),
        (lambda: Dense(2, dtype="int32"), "dtype must be 'float32', 'float64', 'mixed_bfloat16' or a DTypePolicy, got 'int32'"),
        (lambda: Dense(2, input_dim=0), "invalid value for `input_dim`"),
        (lambda: Dense(2, input_shape=(None,)), "`input_shape` must have known sizes"),
        (lambda: Flatten(data_format="channels_first"), "data_format must be 'channels_last'"),
        (lambda: LeakyReLU(-0.1), "negative_slope of relu must be at least 0"),
        (lambda: ReLU(max_value=-1.0), "max_value of relu must be at least 0"),
        (lambda: Input(4), r"`shape` must be one sample's shape such as \(4,\), got 4"),
        (lambda: Input(), "an input needs either `shape`"),
        (lambda: Input((3,), sparse=True), "argument `sparse` of InputLayer is not supported yet"),
        (lambda: Softmax(axis=1)(Input((3, 4))), "`axis` of layer .* must be -1, the last one, got axis=1"),
        (lambda: Dense(2)(Input(())), "expected min_ndim=2, found ndim=1"),
        (lambda: Dense(2)(KerasTensor((None, None, 3))), "only the batch may be None"),
        (lambda: Dense(2)([Input((3,)), Input((3,))]), r"takes 1 input, got a list of 2. Layers that join tensors \(Concatenate"),
        (lambda: Dense(2)(np.ones(3)), r"expected min_ndim=2, found ndim=1. Full shape received: \(3,\)"),
        (lambda: layers.deserialize({"class_name": "Dens", "config": {}}), "Did you mean 'Dense'"),
    ],
)
def test_wrong_arguments_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_built_layer_refuses_another_number_of_features():
    layer = Dense(2)
    layer.build((None, 3))
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 3, but received input with shape"):
        layer(np.ones((2, 5)))


def test_flatten_and_the_activation_layers():
    x = np.array([[[-1.0, 2.0], [3.0, 8.0]]], np.float32)
    np.testing.assert_array_equal(Flatten()(x), [[-1, 2, 3, 8]])
    np.testing.assert_array_equal(ReLU(max_value=6.0)(x), np.clip(x, 0, 6))
    np.testing.assert_allclose(LeakyReLU()(x), np.where(x > 0, x, 0.3 * x), rtol=1e-6)
    np.testing.assert_allclose(Softmax()(x).sum(axis=-1), [[1.0, 1.0]], rtol=1e-6)
    np.testing.assert_allclose(Activation("tanh")(x), np.tanh(x), rtol=1e-5)
    with pytest.warns(UserWarning, match="`alpha` of LeakyReLU is deprecated"):
        assert LeakyReLU(alpha=0.1).negative_slope == 0.1


def test_a_layer_keeps_its_weights_between_calls_on_arrays_of_any_batch():
    layer = Dense(2)
    first = layer(np.ones((1, 3)))
    np.testing.assert_array_equal(np.repeat(first, 5, axis=0), layer(np.ones((5, 3))))


def test_weights_go_out_and_in():
    layer = Dense(2)
    assert layer.get_weights() == []
    layer.build((None, 3))
    new = [np.ones((3, 2)), np.array([1, 2])]
    layer.set_weights(new)
    for got, expected in zip(layer.get_weights(), new, strict=True):
        np.testing.assert_array_equal(got, expected)
    layer.get_weights()[0][...] = 7.0
    assert layer.kernel.numpy().max() == 1.0
    assert [weight.path for weight in layer.weights] == [f"{layer.name}/kernel", f"{layer.name}/bias"]


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ([np.ones((3, 2))], r"with a weight list of length 1, but the layer was expecting 2 weights"),
        ([np.ones((4, 2)), np.ones(2)], r"weight shape \(3, 2\) is not compatible with provided weight shape \(4, 2\)"),
        ([np.ones((3, 2)), np.ones(1)], r"weight shape \(2,\) is not compatible with provided weight shape \(1,\)"),
    ],
)
def test_weights_that_do_not_fit_change_nothing(weights, text):
    layer = Dense(2, kernel_initializer="zeros")
    layer.build((None, 3))
    with pytest.raises(ValueError, match=text):
        layer.set_weights(weights)
    assert not layer.kernel.numpy().any()


def test_an_unbuilt_layer_says_how_to_build_it():
    layer = Dense(2)
    for ask in (lambda: layer.count_params(), lambda: layer.set_weights([1]), lambda: layer.kernel):
        with pytest.raises((ValueError, AttributeError), match=r"build\(\(None, features\)\)"):
            ask()


def test_trainable_reaches_the_weights():
    layer = Dense(2, trainable=False)
    layer.build((None, 3))
    assert [len(layer.trainable_weights), len(layer.non_trainable_variables)] == [0, 2]
    layer.trainable = True
    assert [len(layer.trainable_variables), len(layer.non_trainable_weights), len(layer.variables)] == [2, 0, 2]


def test_names_are_numbered_by_class_until_the_session_is_cleared():
    utils.clear_session()
    made = [Dense(1), Dense(1), Dense(1, name="mine"), Dense(1), LeakyReLU(), InputLayer((2,))]
    assert [layer.name for layer in made] == ["dense", "dense_1", "mine", "dense_2", "leaky_re_lu", "input_layer"]
    utils.clear_session()
    assert Dense(1).name == "dense"


def test_input_and_output_of_a_layer_called_once():
    layer, x = Dense(2), Input((3,))
    with pytest.raises(AttributeError, match="has never been called"):
        _ = layer.output
    out = layer(x)
    assert (layer.input, layer.output) == (x, out)
    layer(x)
    with pytest.raises(AttributeError, match="has been called 2 times"):
        _ = layer.output


@pytest.mark.parametrize(
    "use", [lambda x: x + x, lambda x: 2 * x, lambda x: np.ones(3) - x, lambda x: -x, lambda x: x[:, 0], lambda x: x @ x]
)
def test_arithmetic_on_a_symbolic_tensor_is_refused_by_what_is_missing(use):
    with pytest.raises(TypeError, match="Add and Concatenate, are not covered yet"):
        use(Input((3,)))


@pytest.mark.parametrize("use", [np.asarray, bool, list, np.tanh], ids=["array", "bool", "list", "ufunc"])
def test_a_symbolic_tensor_has_no_data(use):
    with pytest.raises(TypeError):
        use(Input((3,)))


@pytest.mark.parametrize(
    "layer",
    [
        Dense(3, activation="relu", use_bias=False, kernel_initializer="he_normal", name="d", trainable=False, dtype="float64"),
        Activation("softmax", name="a"),
        ReLU(6.0, 0.1, 0.5, name="r"),
        LeakyReLU(0.1, name="l"),
        Softmax(name="s"),
        Flatten(name="f"),
        InputLayer((3, 4), name="i", dtype="float64"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_configurations_go_both_ways(layer):
    copy = layers.deserialize(layers.serialize(layer))
    assert type(copy) is type(layer)
    assert copy.get_config() == layer.get_config()


def test_a_layer_of_ones_own_composes_operations():
    from fastnn.lowering import operations

    class Twice(Layer):
        """Two products with one kernel."""

        def build(self, input_shape):
            self.kernel = self.add_weight((input_shape[-1],) * 2, "identity", name="kernel")

        def lower(self, b, x):
            return operations.tanh(b, operations.dense(b, operations.dense(b, x, self.kernel), self.kernel))

    x = np.array([[0.1, 0.2]], np.float32)
    np.testing.assert_allclose(Twice()(x), np.tanh(x), rtol=1e-6)
    model = Sequential([Input((2,)), Twice(), Dense(1)])
    model.compile("sgd", "mse")
    assert len(model.gradients(x, [[1.0]])[1]) == 3


def test_a_layer_without_lower_says_what_is_missing():
    class Empty(Layer):
        pass

    model = Sequential([Input((2,)), Empty(name="empty")])
    model.compile()
    with pytest.raises(TypeError, match="layer 'empty' of class Empty cannot be compiled: its class must define lower"):
        model.predict(np.ones((1, 2)), verbose=0)


@pytest.mark.parametrize("base", [Layer, Dense, Flatten, Activation, Sequential])
def test_a_class_whose_call_would_be_ignored_is_refused(base):
    class Own(base):
        def call(self, x):
            return x

    arguments = {Dense: (3,), Activation: ("tanh",)}.get(base, ())
    with pytest.raises(TypeError, match=r"class Own defines call\(\), which fastnn does not run: it compiles models as a whole\. "):
        Own(*arguments)


def test_a_layer_with_call_and_lower_is_fine():
    class Doubled(Dense):
        def call(self, x):
            return 2 * super().call(x)

        def lower(self, b, *inputs):
            return super().lower(b, *inputs)

    assert Doubled(3).units == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda: Dense(1, activation="softmax"),
        lambda: Activation("softmax")(Input((1,))),
        lambda: Softmax()(Input((4, 1))),
    ],
)
def test_a_softmax_over_one_value_is_warned_of_where_it_is_written(make):
    with pytest.warns(UserWarning, match="always gives 1: .* activation='sigmoid'") as caught:
        make()
    assert [warning.filename for warning in caught] == [__file__]


def test_an_initializer_that_returns_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"initializer of d/kernel returned an array of shape \(1,\), expected \(3, 2\)"):
        Dense(2, kernel_initializer=lambda shape, dtype=None: np.ones(1), name="d").build((None, 3))


def test_floatx_is_the_dtype_of_new_layers():
    fastnn.config.set_floatx("float64")
    try:
        layer = Dense(2)
    finally:
        fastnn.config.set_floatx("float32")
    layer.build((None, 3))
    assert layer.kernel.dtype == "float64"
    x = Input((3,))
    assert Model(x, layer(x)).dtype == "float64"
