"""Sequential: building, adding, popping, naming, copying."""

import copy
import pickle

import numpy as np
import pytest

from fastnn import Input, Sequential, models, utils
from fastnn.layers import Activation, Dense, Flatten, InputLayer

X = np.arange(12, dtype=np.float32).reshape(4, 3) / 10


@pytest.fixture(autouse=True)
def _on_the_reference(monkeypatch):
    """These tests are about models, not about kernels."""
    monkeypatch.setenv("FASTNN_DEVICE", "reference")


def stack(**arguments):
    return Sequential([Input((3,)), Dense(4, activation="tanh"), Dense(2)], **arguments)


def test_it_computes_one_layer_after_the_other():
    model = stack()
    hidden, out = model.layers
    expected = np.tanh(X @ hidden.kernel.numpy() + hidden.bias.numpy()) @ out.kernel.numpy() + out.bias.numpy()
    np.testing.assert_allclose(model(X).numpy(), expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X, verbose=0), model(X))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential([Input(shape=(3,)), Dense(2)]),
        lambda: Sequential([InputLayer(shape=(3,)), Dense(2)]),
        lambda: Sequential([InputLayer(input_shape=(3,)), Dense(2)]),
        lambda: Sequential([Dense(2, input_dim=3)]),
        lambda: Sequential([Dense(2, input_shape=(3,))]),
        lambda: Sequential([Dense(2, input_shape=[3])]),
        lambda: Sequential([Dense(2, batch_input_shape=(None, 3))]),
        lambda: Sequential((Dense(2, input_dim=3),)),
    ],
)
def test_every_way_to_say_the_input(make):
    model = make()
    assert model.built
    assert [len(model.layers), model.input_shape, model.output_shape] == [1, (None, 3), (None, 2)]


def test_without_an_input_it_is_built_by_build_or_by_data():
    model = Sequential([Dense(4), Dense(2)])
    assert (model.built, model.weights, model.get_weights()) == (False, [], [])
    with pytest.raises(AttributeError, match=r"has no defined outputs yet: begin with Input\(shape\)"):
        _ = model.outputs
    with pytest.raises(ValueError, match="does not know its input"):
        model.build()
    model.build((None, 3))
    assert model.count_params() == 4 * 4 + 5 * 2
    by_data = Sequential([Dense(4), Dense(2)])
    by_data.predict(X, verbose=0)
    assert by_data.input_shape == (None, 3)


def test_build_again_needs_the_same_input():
    model = stack()
    model.build((None, 3))
    model.build()
    with pytest.raises(ValueError, match=r"already been configured to use input shape \(None, 3\)"):
        model.build((None, 5))


def test_a_later_layers_contradicting_input_is_accepted_with_a_warning_that_says_what_is_used():
    with pytest.warns(UserWarning, match=r"was given the input shape \(9,\), but its input has shape \(6,\): \(6,\) is used"):
        model = Sequential([Dense(6, input_dim=3), Dense(2, input_dim=9)])
    assert model.layers[1].kernel.shape == (6, 2)
    Sequential([Dense(6, input_dim=3), Dense(2, input_dim=6)])


def test_add_and_pop():
    model = Sequential()
    assert (model.built, model.layers) == (False, [])
    model.add(Input((3,)))
    for units in (5, 4, 2):
        model.add(Dense(units))
    assert [layer.units for layer in model.layers] == [5, 4, 2]
    popped = model.pop()
    assert (popped.units, model.output_shape) == (2, (None, 4))
    model.add(Activation("relu"))
    assert (model.predict(X, verbose=0) >= 0).all()
    for _ in range(3):
        model.pop()
    assert model.built is False
    with pytest.raises(IndexError, match="there is no layer"):
        model.pop()
    model.add(popped_again := Dense(7))
    assert model.output_shape == (None, 7)
    assert popped_again.built


def test_pop_leaves_the_other_models_of_its_layer_whole():
    top = Dense(2)
    first = Sequential([Input((3,)), Dense(4), top])
    second = Sequential([Input((4,)), top])
    assert first.pop() is top
    assert top.output is second.outputs[0]
    assert second.predict(np.ones((1, 4)), verbose=0).shape == (1, 2)


def test_pop_before_it_is_built():
    model = Sequential([Dense(4), Dense(2)])
    assert model.pop().units == 2
    model.build((None, 3))
    assert model.output_shape == (None, 4)


def test_a_popped_layer_keeps_its_weights_and_the_trained_ones_stay():
    model = stack()
    model.compile("sgd", "mse")
    model.fit(X, np.ones((4, 2)), verbose=0)
    before = model.get_weights()
    top = model.pop()
    model.add(top)
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    model.fit(X, np.ones((4, 2)), verbose=0)


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (3, "Only instances of `Layer` can be added to a Sequential model. Received: 3"),
        (Dense, r"Dense is a class, write Dense\(...\)"),
        ("relu", "Only instances of `Layer`"),
        (Dense(1, name="taken"), "Name 'taken' is already the name of a layer in this model"),
        (Input((3,)), r"an Input must be the first layer.*already has the input shape \(None, 3\)"),
        (Dense(1, dtype="float64"), "all weights of a model must have one dtype"),
    ],
    ids=["number", "class", "name", "duplicate", "input", "dtype"],
)
def test_what_cannot_be_added_changes_nothing(layer, text):
    model = Sequential([Input((3,)), Dense(2, name="taken")])
    with pytest.raises(ValueError, match=text):
        model.add(layer)
    assert [len(model.layers), model.output_shape, model.count_params()] == [1, (None, 2), 8]


def test_duplicate_names_in_the_list_and_things_that_are_no_list_are_refused():
    with pytest.raises(ValueError, match="Name 'a' is already the name of a layer"):
        Sequential([Dense(1, name="a"), Dense(1, name="a")])
    with pytest.raises(ValueError, match=r"must be a list of layers"):
        Sequential(Dense(1))
    with pytest.raises(ValueError, match="has no layers"):
        Sequential().build((None, 3))


def test_one_layer_in_two_models_is_shared():
    shared = Dense(3, name="shared")
    one = Sequential([Input((3,)), shared, Dense(1)])
    two = Sequential([Input((3,)), shared])
    one.compile("sgd", "mse")
    one.fit(X, np.ones(4), verbose=0)
    np.testing.assert_allclose(two(X), X @ shared.kernel.numpy() + shared.bias.numpy(), rtol=1e-5)


def test_models_in_models():
    inner = Sequential([Input((3,)), Dense(4, activation="relu")], name="inner")
    model = Sequential([inner, Dense(2)])
    assert (model.input_shape, model.output_shape, len(model.layers)) == ((None, 3), (None, 2), 2)
    np.testing.assert_allclose(model(X), inner(X) @ model.layers[1].kernel.numpy(), rtol=1e-5)
    late = Sequential([Sequential([Dense(4)]), Flatten(), Dense(1)])
    assert late.predict(X, verbose=0).shape == (4, 1)
    assert late.count_params() == 16 + 5


def test_trainable_propagates():
    model = stack()
    model.trainable = False
    assert [len(model.trainable_weights), len(model.non_trainable_weights)] == [0, 4]
    model.trainable = True
    model.layers[0].trainable = False
    assert [weight.path for weight in model.trainable_weights] == [f"{model.layers[1].name}/{name}" for name in ("kernel", "bias")]
    frozen = stack(trainable=False)
    frozen.add(Dense(1))
    assert frozen.trainable_weights == []
    late = Sequential([Dense(1)], trainable=False)
    late.build((None, 3))
    assert late.trainable_weights == []


def test_weights_go_out_and_in():
    model, other = stack(), stack()
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(model(X), other(X))
    assert [weight.shape for weight in model.weights] == [(3, 4), (4,), (4, 2), (2,)]
    with pytest.raises(ValueError, match="weight list of length 1, but the layer was expecting 4 weights"):
        model.set_weights([X])


def test_layers_by_name_and_by_index():
    model = Sequential([Input((3,)), Dense(4, name="first"), Dense(2, name="second")])
    assert model.get_layer("second") is model.get_layer(index=1) is model.layers[-1]


@pytest.mark.parametrize(
    ("ask", "text"),
    [
        ({"name": "frist"}, r"No such layer: frist\. Did you mean 'first'\? Existing layers are: \['first', 'second'\]"),
        ({"index": 2}, "layer at index 2 but model only has 2 layers"),
        ({}, "either a name or an index"),
        ({"name": "first", "index": 0}, "either a name or an index"),
    ],
)
def test_a_layer_that_is_not_there(ask, text):
    model = Sequential([Input((3,)), Dense(4, name="first"), Dense(2, name="second")])
    with pytest.raises(ValueError, match=text):
        model.get_layer(**ask)


def test_automatic_names():
    utils.clear_session()
    models_ = [stack(), stack(), stack(name="mine")]
    assert [model.name for model in models_] == ["sequential", "sequential_1", "mine"]
    assert [layer.name for layer in models_[1].layers] == ["dense_2", "dense_3"]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["deepcopy", "pickle"])
@pytest.mark.parametrize("built", [False, True])
def test_a_copy_trains_on_as_the_original_would(duplicate, built):
    model = stack() if built else Sequential([Dense(4, activation="tanh"), Dense(2)])
    model.compile("adam", "mse", metrics=["mae"])
    if built:
        model.fit(X, np.ones((4, 2)), epochs=2, verbose=0)
    other = duplicate(model)
    if not built:
        model.build((None, 3))
        other.build((None, 3))
        other.set_weights(model.get_weights())
    for one in (model, other):
        one.fit(X, np.ones((4, 2)), epochs=2, verbose=0, shuffle=False)
    assert other.optimizer.iterations == model.optimizer.iterations
    for one, two in zip(model.weights, other.weights, strict=True):
        assert one is not two
        np.testing.assert_array_equal(one.numpy(), two.numpy())
    assert model.layers[0].output is not other.layers[0].output


def test_a_clone_has_the_same_layers_and_new_weights():
    model = stack(name="original")
    clone = models.clone_model(model)
    assert clone.get_config() == model.get_config()
    assert clone.weights[0].shape == model.weights[0].shape
    assert (clone.get_weights()[0] != model.get_weights()[0]).any()
    nested = Sequential([Input((3,)), stack(name="inner"), Dense(1, name="top")], name="outer")
    assert models.clone_model(nested).count_params() == nested.count_params()


def test_layers_without_brackets_are_refused_as_such():
    with pytest.raises(ValueError, match=r"must be a list of layers, got <Dense.*write Sequential\(\[\.\.\.\]\)"):
        Sequential(Dense(3), Dense(4))
