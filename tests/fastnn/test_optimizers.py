"""Optimizers: updates by hand, state, spellings. Curves against Keras are in tests/golden."""

import copy
import pickle

import numpy as np
import pytest

from fastnn import Input, Sequential, optimizers
from fastnn.layers import Dense
from fastnn.variables import Variable

ALL = [
    optimizers.SGD(0.1),
    optimizers.SGD(0.1, momentum=0.9),
    optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    optimizers.Adagrad(0.1),
    optimizers.RMSprop(0.1),
    optimizers.RMSprop(0.1, momentum=0.5, centered=True),
    optimizers.Adam(0.1),
    optimizers.Adam(0.1, amsgrad=True),
]


def fresh(optimizer):
    return type(optimizer).from_config(optimizer.get_config())


def title(optimizer):
    return "-".join([optimizer.name, *(name for name, _ in optimizer.state)])


def test_sgd_by_hand():
    weight = Variable([1.0, 2.0])
    optimizer = optimizers.SGD(0.1, momentum=0.5)
    for _ in range(2):
        optimizer.apply_gradients([([1.0, -1.0], weight)])
    np.testing.assert_allclose(weight.numpy(), [1.0 - 0.1 - 0.15, 2.0 + 0.1 + 0.15], rtol=1e-6)
    assert optimizer.iterations == 2


def test_adam_by_hand():
    weight = Variable([1.0], "float64")
    optimizer = optimizers.Adam(0.1)
    m = v = 0.0
    expected = 1.0
    for t, g in enumerate([0.5, -2.0, 3.0], start=1):
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        expected -= 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) * m / (np.sqrt(v) + 1e-7)
        optimizer.apply([[g]], [weight])
    np.testing.assert_allclose(weight.numpy(), [expected], rtol=1e-12)


@pytest.mark.parametrize("optimizer", ALL, ids=title)
def test_updates_by_hand_are_those_of_fit(optimizer):
    x, y = np.arange(12.0).reshape(6, 2) / 10, np.arange(6.0)[:, None]
    results = []
    for by_hand in (False, True):
        model = Sequential([Input((2,)), Dense(3, activation="tanh"), Dense(1)])
        model.set_weights([np.full(weight.shape, 0.3) for weight in model.weights])
        model.compile(fresh(optimizer), "mse", device="reference")
        if by_hand:
            for _ in range(3):
                _, gradients = model.gradients(x, y)
                model.optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        else:
            model.fit(x, y, epochs=3, batch_size=6, verbose=0, shuffle=False)
        results.append(model.get_weights())
        assert model.optimizer.iterations == 3
    for fitted, by_hand in zip(*results, strict=True):
        np.testing.assert_allclose(by_hand, fitted, rtol=2e-6)


def test_fit_goes_on_with_the_state_of_updates_by_hand():
    x, y = np.eye(2), np.ones((2, 1))
    models = [Sequential([Input((2,)), Dense(1, kernel_initializer="ones")]) for _ in range(2)]
    for model in models:
        model.compile(optimizers.Adam(0.1), "mse", device="reference")
    _, gradients = models[0].gradients(x, y)
    models[0].optimizer.apply_gradients(zip(gradients, models[0].trainable_weights, strict=True))
    models[0].fit(x, y, verbose=0)
    models[1].fit(x, y, epochs=2, verbose=0)
    for one, other in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("optimizer", ALL, ids=title)
def test_the_state_is_the_instructions_operands_in_order_with_first_values(optimizer):
    from fastnn_kernels.instructions import INSTRUCTIONS

    names = [spec.name for spec in INSTRUCTIONS[optimizer.op].operands][3:]
    own = [name for name, _ in optimizer.state]
    assert own == [name for name in names if name in own]
    assert len(optimizer.attributes()) == len(INSTRUCTIONS[optimizer.op].attributes)
    built = fresh(optimizer)
    built.build([Variable(np.ones((3, 5))), Variable(np.ones(5))])
    vectors = built.buffer.home().view(np.float32).reshape(len(own), built.layout.bytes // 4) if own else []
    for vector, (_, first) in zip(vectors, optimizer.state, strict=True):
        np.testing.assert_array_equal(vector[:15], np.float32(first))
        assert vector[15] == 0


def test_rebuilding_keeps_the_state_of_variables_that_stay():
    kept, frozen, gone = Variable([1.0]), Variable([1.0]), Variable([1.0])
    optimizer = optimizers.SGD(0.1, momentum=0.5)
    optimizer.build([kept, frozen, gone])
    buffer = optimizer.buffer
    optimizer.build([kept, frozen, gone])
    assert optimizer.buffer is buffer
    optimizer.apply([[1.0], [2.0], [3.0]], [kept, frozen, gone])
    frozen.trainable = False
    optimizer.build([kept, frozen])
    frozen.trainable = True
    optimizer.build([Variable([1.0]), kept, frozen])
    np.testing.assert_allclose([v.numpy()[0] for v in optimizer.variables[2:]], [0.0, -0.1, -0.2], rtol=1e-6)


def test_a_changed_argument_adds_its_state():
    weight = Variable([1.0])
    optimizer = optimizers.SGD(0.1)
    optimizer.apply([[1.0]], [weight])
    optimizer.momentum = 0.5
    optimizer.apply([[1.0]], [weight])
    np.testing.assert_allclose(optimizer.variables[-1].numpy(), [-0.1])


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))], ids=["deepcopy", "pickle"])
def test_a_copy_goes_on_where_the_original_is(duplicate):
    weight = Variable([1.0, 2.0])
    optimizer = optimizers.Adam(0.1)
    optimizer.apply([[1.0, 3.0]], [weight])
    other, other_weight = duplicate((optimizer, weight))
    for one, variable in ((optimizer, weight), (other, other_weight)):
        one.apply([[2.0, -1.0]], [variable])
    np.testing.assert_array_equal(weight.numpy(), other_weight.numpy())
    assert other.iterations == 2
    assert other.buffer.memory.ctypes.data % 64 == 0


def test_variables_are_iterations_rate_and_state():
    optimizer = optimizers.Adam(name="adam")
    weight = Variable(np.zeros((2, 3)), name="kernel")
    weight.path = "dense/kernel"
    optimizer.build([weight])
    shapes = {variable.path: variable.shape for variable in optimizer.variables}
    assert shapes == {
        "adam/iteration": (),
        "adam/learning_rate": (),
        "adam/dense_kernel_m": (2, 3),
        "adam/dense_kernel_v": (2, 3),
    }


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), np.array(0.5)])
def test_the_learning_rate_may_be_set(value):
    optimizer = optimizers.SGD(value)
    assert optimizer.learning_rate == float(value)
    optimizer.learning_rate = 0.25
    weight = Variable([1.0])
    optimizer.apply([[1.0]], [weight])
    assert weight.numpy() == [0.75]


@pytest.mark.parametrize("value", ["0.1", None, True, lambda: 0.1, [0.1], float("nan")])
def test_other_learning_rates_are_refused(value):
    with pytest.raises(ValueError, match="learning_rate must be"):
        optimizers.Adam(value)
    with pytest.raises(ValueError, match="learning_rate must be"):
        optimizers.Adam().learning_rate = value


@pytest.mark.parametrize(
    ("identifier", "cls"),
    [
        ("adam", optimizers.Adam),
        ("Adam", optimizers.Adam),
        ("SGD", optimizers.SGD),
        ("RMSprop", optimizers.RMSprop),
        ("adagrad", optimizers.Adagrad),
        (optimizers.Adam, optimizers.Adam),
        ({"class_name": "RMSprop", "config": {"rho": 0.5}}, optimizers.RMSprop),
    ],
)
def test_spellings(identifier, cls):
    assert type(optimizers.get(identifier)) is cls


@pytest.mark.parametrize("optimizer", ALL, ids=title)
def test_configurations_go_both_ways(optimizer):
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: optimizers.Adam(lr=0.1), r"Argument\(s\) not recognized: \{'lr': 0.1\}. Write learning_rate="),
        (lambda: optimizers.Adam(clipnorm=1.0), "argument `clipnorm` of Adam is not supported yet"),
        (lambda: optimizers.SGD(weight_decay=0.01), "argument `weight_decay` of SGD is not supported yet"),
        (lambda: optimizers.SGD(use_ema=True), "argument `use_ema` of SGD is not supported yet"),
        (lambda: optimizers.SGD(momentum=1.5), r"`momentum` of SGD must be a float between \[0, 1\]"),
        (lambda: optimizers.Adam(beta_1=-1), "`beta_1` of Adam"),
        (lambda: optimizers.Adam(beta_1=1.0), r"`beta_1` of Adam must be below 1, got beta_1=1.0"),
        (lambda: optimizers.Adam(epsilon=-1), "`epsilon` of Adam must be a float of at least 0, got epsilon=-1"),
        (lambda: optimizers.RMSprop(rho=2), "`rho` of RMSprop"),
        (lambda: optimizers.RMSprop(rho=1), "`rho` of RMSprop must be below 1"),
        (lambda: optimizers.RMSprop(epsilon=float("nan")), "`epsilon` of RMSprop"),
        (lambda: optimizers.Adagrad(initial_accumulator_value=-1), "`initial_accumulator_value`"),
        (lambda: optimizers.get("adm"), "Did you mean 'adam'"),
        (lambda: optimizers.get(3), "Could not interpret optimizer identifier"),
    ],
)
def test_wrong_arguments_are_refused(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_arguments_of_keras_that_do_nothing_are_accepted():
    optimizers.SGD(clipnorm=None, weight_decay=None, use_ema=False, ema_momentum=0.99)
    with pytest.warns(UserWarning, match="`decay` is no longer supported"):
        optimizers.SGD(decay=0.1)


@pytest.mark.parametrize(
    ("gradients", "text"),
    [
        ([[1.0, 2.0, 3.0]], r"has shape \(3,\), expected \(2,\)"),
        ([None], "No gradients provided for any variable"),
        ([[1.0, 2.0], [1.0]], "2 gradients for 1 variables"),
    ],
)
def test_gradients_that_do_not_fit_are_refused_before_anything_changes(gradients, text):
    weight = Variable([1.0, 2.0])
    optimizer = optimizers.SGD()
    with pytest.raises(ValueError, match=text):
        optimizer.apply(gradients, [weight])
    assert (optimizer.iterations, optimizer.built) == (0, False)
    np.testing.assert_array_equal(weight.numpy(), [1.0, 2.0])


def test_other_variables_frozen_ones_and_mixed_dtypes_are_refused():
    weight, frozen = Variable([1.0]), Variable([1.0], trainable=False)
    optimizer = optimizers.SGD()
    optimizer.build([weight, frozen])
    with pytest.raises(ValueError, match="Unknown variable: other"):
        optimizer.apply([[1.0]], [Variable([1.0], name="other")])
    with pytest.raises(ValueError, match="is not trainable"):
        optimizer.apply([[1.0]], [frozen])
    with pytest.raises(ValueError, match="must have one dtype, got float32, float64"):
        optimizer.build([weight, Variable([1.0], "float64")])


def test_a_missing_gradient_warns_and_leaves_its_variable():
    one, other = Variable([1.0]), Variable([1.0], name="other")
    with pytest.warns(UserWarning, match=r"no gradients for the variables \['other'\]"):
        optimizers.SGD(0.5).apply([[1.0], None], [one, other])
    assert (one.numpy()[0], other.numpy()[0]) == (0.5, 1.0)


@pytest.mark.parametrize("name", ["update_step", "apply", "apply_gradients"])
@pytest.mark.parametrize("base", [optimizers.Adam, optimizers.SGD])
def test_a_class_whose_update_would_be_ignored_is_refused(base, name):
    own = type("Own", (base,), {name: lambda self, *arguments: None})
    with pytest.raises(TypeError, match=rf"class Own defines {name}\(\), .* Optimizers of your own are not supported yet"):
        own()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("beta1", "Did you mean 'beta_1'"),
        ("lr", "Write learning_rate= instead of lr="),
        ("clip_norm", "Did you mean 'clipnorm'"),
        ("zzz", "}$"),
    ],
)
def test_arguments_by_another_name_come_with_the_right_one(name, text):
    with pytest.raises(ValueError, match=rf"Argument\(s\) not recognized: .*{text}"):
        optimizers.Adam(**{name: 0.9})
