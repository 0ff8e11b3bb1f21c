"""Policies, and what ``mixed_bfloat16`` makes of a program and of a training."""

import pickle

import numpy as np
import pytest
from fastnn_kernels.reference.bfloat16 import to_bfloat16, widened

import fastnn
from fastnn import DTypePolicy, Input, Model, Sequential, config, dtype_policies, mixed_precision
from fastnn.keras.names import MODULES
from fastnn.layers import Dense, Flatten
from fastnn.lowering.programs import lower
from fastnn.utils import set_random_seed


@pytest.fixture(autouse=True)
def _restore(monkeypatch):
    monkeypatch.setattr(config, "_settings", dict(config._settings))


@pytest.mark.parametrize(
    ("name", "compute", "variable"),
    [("float32", "float32", "float32"), ("float64", "float64", "float64"), ("mixed_bfloat16", "bfloat16", "float32")],
)
def test_a_layer_has_the_dtypes_of_its_policy(name, compute, variable):
    for given in (name, DTypePolicy(name), dtype_policies.serialize(DTypePolicy(name))):
        layer = Dense(2, dtype=given)
        layer.build((None, 3))
        assert layer.dtype_policy == DTypePolicy(name)
        assert (layer.compute_dtype, layer.variable_dtype, layer.dtype) == (compute, variable, variable)
        assert layer.kernel.dtype == layer.bias.dtype == variable
    assert Dense.from_config(layer.get_config()).dtype_policy == layer.dtype_policy
    assert dtype_policies.get(np.dtype(variable)).name == variable


def test_the_global_policy_is_that_of_floatx_until_one_is_set():
    assert mixed_precision.global_policy() == DTypePolicy("float32")
    config.set_floatx("float64")
    assert Dense(2).dtype == "float64"
    mixed_precision.set_global_policy("mixed_bfloat16")
    assert config.dtype_policy().name == Dense(2).dtype_policy.name == "mixed_bfloat16"
    assert Dense(2, dtype="float32").compute_dtype == "float32"
    config.set_dtype_policy(mixed_precision.Policy("float32"))
    assert Dense(2).compute_dtype == "float32"
    mixed_precision.set_dtype_policy(None)
    assert mixed_precision.dtype_policy() == DTypePolicy("float64")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("bfloat16", "write 'mixed_bfloat16', which multiplies bfloat16 numbers and keeps the weights in float32"),
        ("float16", "write 'mixed_bfloat16', which multiplies numbers of 16 bits"),
        ("mixed_float16", "write 'mixed_bfloat16', which is as fast on a GPU and needs no scaling of the loss"),
        ("mixed_bflot16", "did you mean 'mixed_bfloat16'?"),
    ],
)
@pytest.mark.parametrize("use", [DTypePolicy, mixed_precision.set_global_policy, lambda name: Dense(2, dtype=name)])
def test_other_policies_are_refused_with_what_to_write(use, name, hint):
    with pytest.raises(ValueError, match=r"^dtype must be 'float32', 'float64', 'mixed_bfloat16' or a DTypePolicy, got") as error:
        use(name)
    assert hint in str(error.value)
    assert config.dtype_policy().name == "float32"


def test_what_is_no_policy_is_refused():
    with pytest.raises(TypeError, match="name must be a string such as 'mixed_bfloat16', got 16"):
        DTypePolicy(16)
    with pytest.raises(ValueError, match="config must be what serialize"):
        dtype_policies.get({"class_name": "Dense", "config": {}})
    with pytest.raises(AttributeError, match="needs no scaling of the loss"):
        mixed_precision.LossScaleOptimizer  # noqa: B018


def test_old_programs_find_the_names():
    assert MODULES["tensorflow.keras.mixed_precision"] == MODULES["keras.mixed_precision"] == "fastnn.mixed_precision"
    assert MODULES["keras.dtype_policies"] == "fastnn.dtype_policies"
    assert fastnn.mixed_precision.Policy is fastnn.DTypePolicy


def test_policies_are_equal_by_name_and_pickled_by_it():
    policy = DTypePolicy("mixed_bfloat16")
    assert pickle.loads(pickle.dumps(policy)) == policy != DTypePolicy("float32")
    assert len({policy, DTypePolicy.from_config(policy.get_config())}) == 1
    assert repr(policy) == '<DTypePolicy "mixed_bfloat16">'


def branches() -> Model:
    """Two layers on one input, and a third on one of their outputs."""
    with_policy = {"dtype": "mixed_bfloat16"}
    x = Input((3,))
    hidden = Dense(5, activation="relu", **with_policy)(Dense(4, activation="tanh", **with_policy)(x))
    return Model(x, [hidden, Dense(2, **with_policy)(x)])


def test_a_tensor_is_rounded_once_and_activations_are_fused():
    model = branches()
    rows = lower(model.graph, "predict", dtype="float32", variables=model.weights).rows
    ops = [row.op for row in rows]
    assert ops.count("matmul_bfloat16") == 3
    assert ops.count("to_bfloat16") == 3 + 2  # the weights; x, the hidden tensor
    assert not {"matmul", "relu", "tanh"} & set(ops)


def test_what_is_multiplied_is_rounded_and_nothing_else():
    model = Sequential([Input((7,)), Dense(3, activation="sigmoid", bias_initializer="normal", dtype="mixed_bfloat16")])
    model.compile(device="reference")
    x = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32)
    kernel, bias = model.get_weights()
    factors = []
    for value in (x, kernel):
        factors.append(np.empty(value.shape, np.uint16))
        to_bfloat16(value, factors[-1])
    wanted = 1 / (1 + np.exp(-(widened(factors[0]) @ widened(factors[1]) + bias)))
    found = model.predict(x, verbose=0)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert not np.allclose(found, 1 / (1 + np.exp(-(x @ kernel + bias))), rtol=1e-5, atol=0)


def test_gradients_are_those_of_rounded_factors():
    """``dkernel = x.T @ dout`` of the rounded, ``dbias`` of what was not rounded."""
    model = Sequential([Input((7,)), Dense(3, dtype="mixed_bfloat16")])
    model.compile(loss="mse", device="reference")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 7)).astype(np.float32), rng.normal(size=(5, 3)).astype(np.float32)
    dout = (2 * (model.predict(x, verbose=0) - y) / 15).astype(np.float32)
    bits = [np.empty(each.shape, np.uint16) for each in (x, dout)]
    for each, out in zip((x, dout), bits, strict=True):
        to_bfloat16(each, out)
    _, (dkernel, dbias) = model.gradients(x, y)
    np.testing.assert_allclose(dkernel, widened(bits[0]).T @ widened(bits[1]), rtol=1e-2, atol=1e-5)
    np.testing.assert_allclose(dbias, dout.sum(axis=0), rtol=1e-5, atol=1e-7)


def train(policy: str, device: str = "cpu") -> tuple[list[float], list[np.ndarray], np.ndarray]:
    """Losses, weights and predictions of some epochs of the digits; 33 units: no buffer of bfloat16 fills whole words."""
    (x, y), _ = fastnn.datasets.digits.load_data()
    set_random_seed(1)
    model = Sequential(
        [Input((8, 8)), Flatten(), *(Dense(33, activation="relu", dtype=policy) for _ in range(2)), Dense(10, dtype=policy)]
    )
    model.compile("adam", fastnn.losses.SparseCategoricalCrossentropy(from_logits=True), device=device)
    losses = model.fit(x[:500] / 16, y[:500], epochs=5, batch_size=33, verbose=0).history["loss"]
    return losses, model.get_weights(), model.predict(x[:7] / 16, verbose=0)


def test_a_training_follows_that_of_float32_and_is_the_reference_s():
    mixed, single, exact = train("mixed_bfloat16"), train("float32"), train("mixed_bfloat16", "reference")
    np.testing.assert_allclose(mixed[0], single[0], rtol=0.02)
    assert mixed[0] != single[0]
    assert mixed[0][-1] < 0.75 * mixed[0][0]
    np.testing.assert_allclose(mixed[0], exact[0], rtol=2e-3)
    np.testing.assert_allclose(mixed[2], exact[2], atol=0.05)


@pytest.mark.parametrize("threads", [2, 3, 7])
def test_the_same_bits_for_any_number_of_threads(threads):
    config.set_num_threads(1)
    one = train("mixed_bfloat16")
    config.set_num_threads(threads)
    for found, wanted in zip(train("mixed_bfloat16")[1], one[1], strict=True):
        np.testing.assert_array_equal(found, wanted)
