"""The public names exist, complete in editors, and are Keras's."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest

import fastnn


def test_every_public_name_resolves_and_is_listed():
    for name in fastnn.__all__:
        assert getattr(fastnn, name) is not None
        assert name in dir(fastnn)


@pytest.mark.parametrize("name", ["", *(name for name in fastnn.__all__ if name.islower() and name[0] != "_"), "datasets.digits"])
def test_completion_offers_public_names_alone(name):
    module = importlib.import_module(f"fastnn.{name}".rstrip("."))
    assert dir(module) == sorted(module.__all__)


def test_what_keras_has_at_the_top_is_said_to_be_missing():
    with pytest.raises(AttributeError, match=r"fastnn\.preprocessing is not covered by fastnn yet.* fastnn has: .*layers"):
        fastnn.preprocessing  # noqa: B018


def test_editors_see_the_names_that_resolve():
    tree = ast.parse(inspect.getsource(fastnn))
    blocks = [node for node in tree.body if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"]
    seen = {alias.asname for block in blocks for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert seen | {"__version__"} == set(fastnn.__all__)


def test_other_names_are_refused():
    with pytest.raises(
        AttributeError, match=r"fastnn\.Sequentail is not covered by fastnn\. Did you mean 'Sequential'\? fastnn has: activations"
    ):
        fastnn.Sequentail  # noqa: B018


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("layers", "Activation Dense Flatten Input InputLayer Layer"),
        ("models", "Model Sequential"),
        (
            "losses",
            "MeanSquaredError MeanAbsoluteError BinaryCrossentropy CategoricalCrossentropy SparseCategoricalCrossentropy",
        ),
        (
            "metrics",
            "BinaryAccuracy CategoricalAccuracy SparseCategoricalAccuracy MeanAbsoluteError MeanSquaredError RootMeanSquaredError",
        ),
        ("optimizers", "SGD Adagrad RMSprop Adam get"),
        ("activations", "linear relu sigmoid tanh softmax leaky_relu get"),
        ("initializers", "GlorotUniform Zeros get"),
        ("callbacks", "Callback EarlyStopping History"),
        ("utils", "clear_session normalize set_random_seed to_categorical"),
        ("backend", "clear_session epsilon floatx image_data_format set_floatx"),
        ("config", "device epsilon floatx image_data_format num_threads set_device set_floatx set_num_threads"),
        ("datasets", "digits"),
        ("random", "set_random_seed"),
    ],
)
def test_a_module_has_keras_names_with_docstrings(module, names):
    for name in names.split():
        found = getattr(getattr(fastnn, module), name)
        assert inspect.getdoc(found), f"fastnn.{module}.{name} has no docstring"


README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("row", ["layers", "activations", "optimizers"])
def test_readme_lists_what_there_is(row):
    (cells,) = re.findall(rf"^\| {row} \| (.*) \|$", README, re.MULTILINE)
    names = re.findall(r"`(\w+)`", cells)
    assert len(names) >= 4
    assert set(names) <= set(getattr(fastnn, row).__all__)


def test_readme_says_of_nothing_that_is_there_that_it_is_not():
    section = README.split("### Not there yet")[1].split("\n## ")[0]
    there = {name for module in fastnn.__all__ if module.islower() for name in getattr(getattr(fastnn, module), "__all__", ())}
    names = set(re.findall(r"`(\w+)`", section)) - {"Model", "call", "fit", "pickle"}
    assert len(names) >= 12
    assert not there.intersection(names)
    assert not [name for name in names if hasattr(fastnn.Model, name)]


@pytest.mark.parametrize("name", ["Sequential", "Model", "Input"])
def test_top_level_names_are_those_of_the_modules(name):
    owner = fastnn.layers if name == "Input" else fastnn.models
    assert getattr(fastnn, name) is getattr(owner, name)
