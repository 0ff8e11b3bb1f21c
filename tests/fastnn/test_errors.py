"""Errors about names say what to write."""

import pytest

from fastnn.errors import near_matches, unknown


@pytest.mark.parametrize(
    ("kind", "name", "advice"),
    [
        ("optimizer", "Adamm", "Did you mean 'adam'?"),
        ("activation function", "rleu", "Did you mean 'relu'?"),
        ("loss", "rmse", "minimise 'mse' instead"),
        ("loss", "RMSE", "metrics=['root_mean_squared_error']"),
        ("metric", "rmse", "write 'root_mean_squared_error'"),
        ("loss", "accuracy", "accuracy has no gradient"),
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
