"""Settings of the process."""

import pytest

from fastnn import Input, Sequential, backend, config
from fastnn.layers import Dense


@pytest.fixture(autouse=True)
def _restore(monkeypatch):
    monkeypatch.setattr(config, "_settings", dict(config._settings))
    monkeypatch.delenv("FASTNN_DEVICE", raising=False)


def test_floatx_is_float32_until_set():
    assert config.floatx() == "float32"
    backend.set_floatx("float64")
    assert config.floatx() == backend.floatx() == "float64"


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("float16", "got 'float16'. Write set_dtype_policy('mixed_bfloat16')"),
        ("flaot32", "Did you mean 'float32'?"),
        (32, "got 32"),
    ],
)
def test_other_float_types_are_refused(value, hint):
    with pytest.raises(ValueError, match="floatx must be 'float32' or 'float64'") as error:
        config.set_floatx(value)
    assert hint in str(error.value)
    assert config.floatx() == "float32"


def test_threads_default_to_usable_cores_and_can_be_set():
    usable = config.num_threads()
    assert usable >= 1
    config.set_num_threads(3)
    assert config.num_threads() == 3
    config.set_num_threads(None)
    assert config.num_threads() == usable


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_impossible_thread_counts_are_refused(count, error):
    with pytest.raises(error):
        config.set_num_threads(count)


def test_device_is_what_was_set_then_the_environment_then_cpu(monkeypatch):
    assert config.device() == "cpu"
    monkeypatch.setenv("FASTNN_DEVICE", "reference")
    assert config.device() == "reference"
    config.set_device("cpu")
    assert config.device() == "cpu"
    config.set_device(None)
    assert config.device() == "reference"


@pytest.mark.parametrize(
    ("name", "hint"),
    [("gpu", "Did you mean 'cuda'?"), ("CPU", "Did you mean 'cpu'?"), ("xyz", "'xyz'. Known devices: 'cpu', 'cuda'")],
)
def test_an_unknown_device_is_refused_where_it_is_named(monkeypatch, name, hint):
    with pytest.raises(ValueError, match=f"^unknown device '{name}'") as error:
        config.set_device(name)
    assert hint in str(error.value)
    assert config.device() == "cpu"
    monkeypatch.setenv("FASTNN_DEVICE", name)
    with pytest.raises(ValueError, match=f"^FASTNN_DEVICE: unknown device '{name}'"):
        config.device()
    config.set_device("reference")
    assert config.device() == "reference"


def test_a_device_that_is_not_a_string_is_refused():
    with pytest.raises(TypeError, match="device must be a string such as 'cpu', or None, got 0"):
        config.set_device(0)


@pytest.mark.parametrize("device", [0, "", True, ["cpu"]])
def test_compile_refuses_what_is_no_device(device):
    with pytest.raises((TypeError, ValueError), match="device"):
        Sequential([Input((2,)), Dense(1)]).compile("sgd", "mse", device=device)


@pytest.mark.parametrize(("count", "error"), [(0, ValueError), (1025, ValueError), (1.5, TypeError), ("2", TypeError)])
def test_a_number_of_threads_that_is_none_is_refused(count, error):
    with pytest.raises(error, match=r"count must be an integer from 1 to 1024 or None, got"):
        config.set_num_threads(count)


def test_a_policy_that_is_none_is_refused_by_what_it_could_be():
    for value in (3, ["a"]):
        with pytest.raises(TypeError, match="a dtype policy must be a name such as 'mixed_bfloat16'"):
            config.set_dtype_policy(value)
    with pytest.raises(ValueError, match=r"set_dtype_policy\('mixed_bfloat16'\)"):
        config.set_floatx("mixed_bfloat16")


def test_matmul_precision():
    assert config.matmul_precision() == "float32"
    config.set_matmul_precision("tensorfloat32")
    assert config.matmul_precision() == "tensorfloat32"


@pytest.mark.parametrize(
    ("value", "meant"), [("high", "tensorfloat32"), ("float33", "float32"), ("tf32", "tensorfloat32"), (1, None)]
)
def test_an_unknown_precision_is_refused(value, meant):
    with pytest.raises(ValueError, match="matmul_precision must be 'float32' or 'tensorfloat32'") as refusal:
        config.set_matmul_precision(value)
    assert (f"Did you mean {meant!r}?" in str(refusal.value)) == (meant is not None)
    assert config.matmul_precision() == "float32"
