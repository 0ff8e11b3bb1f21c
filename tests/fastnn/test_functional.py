"""Functional models: any directed graph, shared layers, nesting, several inputs and outputs, classes of one's own."""

import copy
import pickle

import numpy as np
import pytest

from fastnn import Input, Model, Sequential, models, utils
from fastnn.layers import Activation, Dense, InputLayer

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(6, 3)).astype(np.float32), RNG.normal(size=(6, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def _on_the_reference(monkeypatch):
    """These tests are about models, not about kernels."""
    monkeypatch.setenv("FASTNN_DEVICE", "reference")


def affine(layer, x):
    return x @ layer.kernel.numpy() + layer.bias.numpy()


def branches():
    """Two inputs, a shared layer, a nested model called twice, two outputs."""
    a, b = Input((3,), name="a"), Input((4,), name="b")
    shared, top = Dense(5, name="shared"), Dense(3, name="top")
    x = shared(a)
    z = Activation("tanh", name="tanh")(shared(Dense(3, name="to3")(b)))
    inner = Sequential([Input((5,)), Dense(2, name="i1"), Dense(5, name="i2")], name="inner")
    q, r = inner(z), inner(x)
    return Model([a, b], [Dense(1, name="u")(q), top(Dense(3, name="v")(r))], name="branches")


def test_least_squares_graph_is_one_dense_layer():
    x = Input((3,))
    layer = Dense(1)
    model = Model(inputs=x, outputs=layer(x))
    np.testing.assert_allclose(model(A), affine(layer, A), rtol=1e-5)
    assert (model.input, model.output) == (x, layer.output)
    again = model.call(Input((3,)))
    assert again.node.layer is layer
    np.testing.assert_array_equal(model.call(A), model(A))


def test_layers_and_weights_are_in_keras_order():
    model = branches()
    order = ["b", "to3", "shared", "a", "tanh", "inner", "v", "u", "top"]  # Keras 3.15.1, with these names
    assert [layer.name for layer in model.layers] == order
    shapes = [(4, 3), (3,), (3, 5), (5,), (5, 2), (2,), (2, 5), (5,), (5, 3), (3,), (5, 1), (1,), (3, 3), (3,)]
    assert [weight.shape for weight in model.weights] == shapes


def test_every_node_follows_those_it_reads():
    graph = branches().graph
    made = {id(tensor) for tensor in graph.inputs}
    for node in graph.nodes:
        assert all(id(tensor) in made for tensor in node.inputs)
        made |= {id(tensor) for tensor in node.outputs}
    assert sum(node.layer.name == "shared" for node in graph.nodes) == 2


def test_several_inputs_and_outputs_compute_what_the_graph_says():
    model = branches()
    shared, inner = model.get_layer("shared"), model.get_layer("inner")
    i1, i2 = inner.layers
    z = np.tanh(affine(shared, affine(model.get_layer("to3"), B)))
    u = affine(model.get_layer("u"), affine(i2, affine(i1, z)))
    v = affine(model.get_layer("top"), affine(model.get_layer("v"), affine(i2, affine(i1, affine(shared, A)))))
    for got, expected in zip(model.predict([A, B], verbose=0), (u, v), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert (model.input_names, model.output_names) == (["a", "b"], ["u", "top"])
    assert (model.input_shape, model.output_shape) == ([(None, 3), (None, 4)], [(None, 1), (None, 3)])


def test_a_shared_layers_gradient_is_the_sum_over_its_calls():
    x = Input((3,))
    layer = Dense(3, use_bias=False)
    model = Model(x, layer(layer(x)))
    kernel = np.array([[1.0, 0.1, 0.0], [0.2, 0.9, 0.0], [0.0, 0.3, 1.1]])
    model.set_weights([kernel])
    model.compile("sgd", "mse")
    _, (gradient,) = model.gradients(A, np.zeros((6, 3)))

    def loss(k):
        return ((A @ k @ k) ** 2).mean()

    for place in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[place] = 1e-5
        assert gradient[place] == pytest.approx((loss(kernel + step) - loss(kernel - step)) / 2e-5, rel=1e-3, abs=1e-5)


def test_fan_out_and_an_output_inside_the_graph():
    x = Input((3,))
    hidden = Dense(4, activation="relu", name="hidden")(x)
    model = Model(x, [hidden, Dense(1)(hidden)])
    got_hidden, got = model.predict(A, verbose=0)
    np.testing.assert_allclose(got, affine(model.layers[-1], got_hidden), rtol=1e-4, atol=1e-6)


def test_a_part_of_a_model_is_a_model_with_the_same_weights():
    whole = Sequential([Input((3,)), Dense(4, name="features"), Activation("tanh"), Dense(1)])
    head = Model(whole.inputs, whole.get_layer("features").output)
    np.testing.assert_allclose(head(A), affine(whole.layers[0], A), rtol=1e-5)
    tail = Model(whole.get_layer("features").output, whole.output)
    np.testing.assert_allclose(tail(head(A)), whole(A), rtol=1e-5)
    assert [layer.name for layer in tail.layers] == [layer.name for layer in whole.layers[1:]]


def test_dicts_name_inputs_and_outputs():
    a, b = Input((3,)), Input((4,))
    model = Model({"left": a, "right": b}, {"one": Dense(1)(a), "two": Dense(2)(b)})
    out = model.predict({"right": B, "left": A}, verbose=0)
    assert {name: array.shape for name, array in out.items()} == {"one": (6, 1), "two": (6, 2)}
    assert (model.input_names, model.output_names) == (["left", "right"], ["one", "two"])


def test_a_list_of_one_output_stays_a_list():
    x = Input((3,))
    assert isinstance(Model(x, [Dense(1)(x)]).predict(A, verbose=0), list)


def test_one_layer_behind_two_outputs_gets_two_output_names():
    x = Input((3,))
    layer = Dense(3, name="twice")
    first = layer(x)
    assert Model(x, [first, layer(first)]).output_names == ["twice", "twice_1"]


def test_an_unused_input_is_accepted():
    a, b = Input((3,), name="a"), Input((4,), name="b")
    model = Model([a, b], Dense(1)(a))
    assert model.predict([A, B], verbose=0).shape == (6, 1)
    assert {"a", "b"} <= {layer.name for layer in model.layers}


def test_models_are_called_like_layers_on_tensors_and_arrays():
    inner = branches()
    a, b = Input((3,)), Input((4,))
    u, v = inner([a, b])
    outer = Model([a, b], [u, Dense(2)(v)])
    np.testing.assert_allclose(outer([A, B])[0], inner([A, B])[0], rtol=1e-5)
    with pytest.raises(ValueError, match="has 2 inputs"):
        inner(a)
    with pytest.raises(ValueError, match=r"input 'a' of model 'branches' has shape \(None, 3\), got \(None, 4\)"):
        inner([b, a])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Model(Input((3,), name="x"), Dense(1)(Input((3,), name="z"))), "need the input 'z'.*not among its inputs"),
        (lambda: Model(inputs=Input((3,))), "needs both inputs= and outputs="),
        (lambda: Model(), r"write Sequential\(\[...\]\)"),
        (lambda: Model(A, Dense(1)(Input((3,)))), "`inputs` of a Model must be what Input"),
        (lambda: Model(Input((3,)), Dense(1)), "`outputs` of a Model must be what Input"),
    ],
)
def test_graphs_that_are_none_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_duplicate_layer_names_are_refused():
    x = Input((3,))
    with pytest.raises(ValueError, match="The name 'a' is used 2 times in the model"):
        Model(x, Dense(1, name="a")(Dense(2, name="a")(x)))


def test_weights_of_two_dtypes_are_refused():
    x = Input((3,))
    with pytest.raises(ValueError, match="'one' has float64, 'two' has float32"):
        Model(x, Dense(1, name="two")(Dense(2, name="one", dtype="float64")(x)))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["deepcopy", "pickle"])
def test_a_copy_computes_the_same_and_shares_what_the_original_shares(duplicate):
    model = branches()
    model.compile("sgd", "mse")
    expected = model.predict([A, B], verbose=0)
    other = duplicate(model)
    for one, two in zip(expected, other.predict([A, B], verbose=0), strict=True):
        np.testing.assert_array_equal(one, two)
    assert len(other.weights) == len(model.weights)
    assert other.get_layer("shared") is not model.get_layer("shared")
    before = model.get_weights()
    other.fit([A, B], [np.ones((6, 1)), np.ones((6, 3))], verbose=0)
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["deepcopy", "pickle"])
def test_deep_models_are_built_and_copied_without_recursion(duplicate):
    x = out = Input((2,))
    for _ in range(1200):
        out = Activation("linear")(out)
    assert len(duplicate(Model(x, out)).layers) == 1201


def test_a_clone_has_the_same_graph_and_new_weights():
    model = branches()
    clone = models.clone_model(model)
    assert [layer.name for layer in clone.layers] == [layer.name for layer in model.layers]
    clone.set_weights(model.get_weights())
    for one, two in zip(model([A, B]), clone([A, B]), strict=True):
        np.testing.assert_array_equal(one, two)
    x = Input((3,))
    single = models.clone_model(Model({"x": x}, {"y": Dense(1)(x)}))
    assert (single.input_names, single.output_names) == (["x"], ["y"])


def test_a_configuration_without_a_way_from_an_input_is_refused():
    config = branches().get_config()
    config["layers"] = [layer for layer in config["layers"] if layer["class_name"] != "InputLayer"]
    with pytest.raises(ValueError, match="have no way from an input"):
        Model.from_config(config)


class Stack(Model):
    """A model of one's own: layers in ``__init__``, the graph in ``call``."""

    def __init__(self):
        super().__init__()
        self.hidden, self.out = Dense(4, activation="tanh"), Dense(1)

    def call(self, inputs, training=None):
        return self.out(self.hidden(inputs))


def test_a_class_with_call_is_built_by_data():
    model = Stack()
    model.compile("sgd", "mse")
    assert (model.built, model.layers) == (False, [])
    history = model.fit(A, A.sum(axis=1), epochs=5, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    np.testing.assert_allclose(model(A), affine(model.out, np.tanh(affine(model.hidden, A))), rtol=1e-4, atol=1e-6)
    assert len(model.weights) == 4
    other = pickle.loads(pickle.dumps(model))
    assert other.hidden is other.layers[1]
    np.testing.assert_array_equal(other(A), model(A))


@pytest.mark.parametrize("test", [lambda training: 1 if training else 2, lambda training: 1 if training == True else 2])  # noqa: E712
def test_a_call_that_depends_on_training_is_refused(test):
    class Depends(Stack):
        def call(self, inputs, training=False):
            return super().call(inputs, training=training) if test(training) == 1 else self.out(inputs)

    model = Depends()
    model.compile("sgd", "mse")
    with pytest.raises(TypeError, match=r"call\(\) depends on its argument `training`"):
        model.fit(A, A.sum(axis=1), verbose=0)


@pytest.mark.parametrize("name", ["train_step", "test_step", "predict_step", "compute_loss", "make_train_function"])
def test_a_class_with_steps_of_its_own_is_refused(name):
    own = type("Own", (Stack,), {name: lambda self, *arguments: None})
    with pytest.raises(TypeError, match=rf"class Own defines {name}\(\), which fastnn does not run"):
        own()


def test_a_functional_model_whose_call_would_be_ignored_is_refused():
    class Own(Model):
        def call(self, x):
            return x

    x = Input((3,))
    with pytest.raises(TypeError, match="Give Model either inputs= and outputs= or a call"):
        Own(x, Dense(1)(x))


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("save", "pickle"),
        ("save_weights", "get_weights"),
        ("load_weights", "set_weights"),
        ("to_json", r"get_config\(\)"),
        ("predict_classes", "argmax"),
        ("fit_generator", r"model\.fit"),
        ("add_loss", ""),
    ],
)
def test_methods_of_keras_that_are_missing_are_refused_by_name(name, advice):
    model = Sequential([Dense(1)])
    with pytest.raises(AttributeError, match=rf"Sequential\.{name} is not covered by fastnn yet\..*{advice}") as refusal:
        getattr(model, name)
    assert refusal.value.name is None  # Python would add a suggestion of its own
    assert not hasattr(model, name)
    assert name not in dir(model)


def test_a_class_may_define_methods_of_keras_that_are_missing():
    own = type("Own", (Stack,), {"save": lambda self: "saved"})()
    assert own.save() == "saved"
    assert "save" in dir(own)


def test_a_class_with_call_is_a_layer_that_holds_several():
    block = Stack()
    model = Sequential([Input((3,)), block])
    np.testing.assert_allclose(model(A), affine(block.out, np.tanh(affine(block.hidden, A))), rtol=1e-4, atol=1e-6)


def test_an_unbuilt_class_has_no_configuration_and_no_weights():
    with pytest.raises(ValueError, match="no configuration before it is built"):
        Stack().get_config()
    with pytest.raises(ValueError, match="isn't built"):
        Stack().count_params()


def test_automatic_names():
    utils.clear_session()
    x = Input((3,))
    assert [Model(x, Dense(1)(x)).name, Model(x, Dense(1)(x)).name, Stack().name] == ["functional", "functional_1", "stack"]
    assert isinstance(x.node.layer, InputLayer)
