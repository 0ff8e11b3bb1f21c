"""Errors about names say what to write."""

import importlib.util

import pytest

import fastnn
from fastnn.coverage import NOT_YET, plain
from fastnn.errors import meant, missing, near_matches, overridden, refuse_keywords, unknown


@pytest.mark.parametrize(
    ("kind", "name", "advice"),
    [
        ("optimizer", "Adamm", "Did you mean 'adam'?"),
        ("activation function", "rleu", "Did you mean 'relu'?"),
        ("loss", "rmse", "Minimise 'mse' instead"),
        ("loss", "RMSE", "metrics=['root_mean_squared_error']"),
        ("metric", "rmse", "Write 'root_mean_squared_error'"),
        ("loss", "accuracy", "Accuracy has no gradient"),
    ],
)
def test_unknown_names_come_with_advice(kind, name, advice):
    error = unknown(kind, name, ["adam", "relu", "mse"])
    assert str(error).startswith(f"Could not interpret {kind} identifier: {name!r}.")
    assert advice in str(error)
    assert str(error).endswith("Known: 'adam', 'relu', 'mse'.")


def test_a_name_like_nothing_known_gets_the_list_alone():
    assert "Did you mean" not in str(unknown("loss", "zzz", ["mse", "mae"]))


def test_near_matches_ignore_case_and_underscores():
    assert near_matches("Mean_SquaredError", ["mean_squared_error", "mae"], count=1) == ["mean_squared_error"]
    known = ["MeanSquaredError", "mean_squared_error"]
    assert [near_matches(name, known) for name in ("mean_squared_eror", "MeanSqaredError")] == [[known[1]], [known[0]]]


@pytest.mark.parametrize(
    ("kind", "name", "not_meant"),
    [
        *[("activation function", name, "relu'?") for name in ("gelu", "elu", "selu")],
        *[("metric", name, "'acc'?") for name in ("auc", "AUC")],
        *[("loss", name, "Did you mean") for name in ("mape", "msle", "kl_divergence", "Huber")],
        ("optimizer", "adamw", "Did you mean"),
    ],
)
def test_a_name_of_keras_is_no_misspelling(kind, name, not_meant):
    text = str(unknown(kind, name, ["adam", "relu", "mse", "mae", "acc"]))
    assert "Keras has it, fastnn does not cover it yet." in text
    assert not_meant not in text


def test_lists_of_known_names_have_one_spelling_of_each():
    assert str(unknown("loss", "zzz", ["mse", "MeanSquaredError", "mean_squared_error", "MSE"])).endswith(
        "Known: 'mse', 'MeanSquaredError'."
    )


@pytest.mark.parametrize("owner", [owner for owner in NOT_YET if owner != "Model"])
def test_no_name_is_both_covered_and_not_yet_covered(owner):
    module = importlib.import_module(f"fastnn.{owner}".rstrip("."))
    have = {plain(name) for name in getattr(module, "__all__", vars(module)) if not name.startswith("_")}
    assert not {name for name in NOT_YET[owner] if plain(name) in have}


def test_no_method_of_models_is_both_there_and_not_yet():
    assert not {name for name in NOT_YET["Model"] if hasattr(fastnn.Sequential, name)}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        *[("layers", name) for name in ("Concatenate", "BatchNormalization", "LSTM")],
        *[("models", "load_model"), ("callbacks", "ModelCheckpoint"), ("losses", "huber"), ("metrics", "AUC")],
        *[("optimizers", "schedules"), ("initializers", "STFT"), ("datasets", "mnist")],
    ],
)
def test_what_keras_has_and_a_module_does_not_is_refused_by_name(module, name):
    text = rf"fastnn\.{module}\.{name} is not covered by fastnn yet\..* fastnn\.{module} has: "
    with pytest.raises(AttributeError, match=text) as refusal:
        getattr(getattr(fastnn, module), name)
    assert refusal.value.name is None  # Python would add a suggestion of its own
    with pytest.raises(ImportError, match=text):
        exec(f"from fastnn.{module} import {name}")


@pytest.mark.parametrize(
    ("module", "name"),
    [("activations", "gelu"), ("utils", "plot_model"), ("backend", "cast"), ("config", "set_epsilon"), ("random", "normal")],
)
def test_modules_in_one_file_refuse_attributes_by_name(module, name):
    with pytest.raises(AttributeError, match=f"fastnn.{module}.{name} is not covered by fastnn yet"):
        getattr(getattr(fastnn, module), name)


@pytest.mark.parametrize(
    ("module", "name", "meant"),
    [
        *[("losses", "mean_squared_eror", "mean_squared_error"), ("optimizers", "Adma", "Adam"), ("layers", "Dens", "Dense")],
        *[("metrics", "BinaryAcuracy", "BinaryAccuracy"), ("initializers", "GlorotUnifrom", "GlorotUniform")],
        *[("callbacks", "EarlyStoping", "EarlyStopping"), ("datasets", "digit", "digits"), ("models", "Sequental", "Sequential")],
        *[("activations", "rleu", "relu"), ("utils", "set_random_sed", "set_random_seed"), ("config", "set_devise", "set_device")],
        *[("backend", "flotx", "floatx"), ("dtype_policies", "DTypePolcy", "DTypePolicy")],
        *[("mixed_precision", "set_global_polcy", "set_global_policy")],
    ],
)
def test_a_misspelled_name_of_a_module_comes_with_what_was_meant(module, name, meant):
    text = rf"fastnn\.{module}\.{name} is not covered by fastnn\. Did you mean .*'{meant}'.* fastnn\.{module} has: "
    with pytest.raises(AttributeError, match=text) as refusal:
        getattr(getattr(fastnn, module), name)
    assert refusal.value.name is None
    with pytest.raises(ImportError, match=text if hasattr(getattr(fastnn, module), "__path__") else "cannot import name"):
        exec(f"from fastnn.{module} import {name}")


def test_a_name_of_another_module_gets_the_list_alone():
    text = r"fastnn\.random\.Initializer is not covered by fastnn\. fastnn\.random has: "
    with pytest.raises(AttributeError, match=text):
        fastnn.random.Initializer  # noqa: B018


def test_private_names_are_no_misspellings():
    with pytest.raises(AttributeError, match=r"module 'fastnn\.layers' has no attribute '_dense'"):
        fastnn.layers._dense  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name '_dense'"):
        exec("from fastnn.layers import _dense")


@pytest.mark.parametrize(
    "name",
    [
        *("layers.something_else", "engine.something_else", "layers._dense"),
        *("tests", "conftest", "version", "_version", "__version__", "settings"),
    ],
)
def test_a_module_that_tools_look_for_is_not_found(name):
    assert importlib.util.find_spec(f"fastnn.{name}") is None


def test_lists_of_what_a_module_has_leave_machinery_out():
    text = missing("fastnn.losses.huber", fastnn.losses.__all__)
    assert not {"get", "serialize", "deserialize", "resolve"} & set(text.partition("has: ")[2].rstrip(".").split(", "))
    assert len(text) < 400


@pytest.mark.parametrize(
    ("name", "known", "text"),
    [
        ("lr", ["learning_rate"], ". Write learning_rate= instead of lr="),
        ("beta1", ["beta_1", "beta_2"], ". Did you mean 'beta_1'?"),
        ("zzz", ["units"], ""),
        ("lr", ["units"], ""),
    ],
)
def test_arguments_by_an_old_or_misspelled_name(name, known, text):
    assert meant([name], known) == text


def test_keywords_that_a_method_does_not_have():
    def fit(x, epochs=1, **kwargs):
        refuse_keywords(fit, kwargs)

    fit(1, epochs=2)
    for name, text in {"nb_epoch": "Write epochs=", "workers": "Leave it out", "epoch": "Did you mean 'epochs'"}.items():
        with pytest.raises(TypeError, match=rf"fit\(\) got an unexpected keyword argument '{name}'. {text}"):
            fit(1, **{name: 2})


def test_an_override_counts_unless_what_is_compiled_is_overridden_with_it():
    class Base(fastnn.layers.Dense):
        def call(self, x):
            return x

    class Inherits(Base):
        pass

    class Lowers(Base):
        def lower(self, b, *inputs):
            return inputs[0]

    assert [overridden(cls, ("call",)) for cls in (Base, Inherits, Lowers, fastnn.layers.Dense)] == ["call", "call", None, None]


def test_the_first_import_of_a_program_is_refused_by_name_too(run_python):
    out = run_python(
        """
        try:
            from fastnn import regularizers
        except ImportError as refusal:
            print(refusal)
        """
    )
    assert "fastnn.regularizers is not covered by fastnn yet." in out
