"""What may be passed for numbers, and how it is looked through."""

import numpy as np
import pandas as pd
import pytest

from fastnn.training import arrays
from fastnn.training.arrays import as_array, cast, check_finite, column_names, is_finite
from fastnn.training.weights import class_weights, sample_weights


class HasArray:
    def __array__(self, dtype=None, copy=None):
        return np.arange(3.0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([1, 2, 3], np.array([1, 2, 3])),
        ([[True], [False]], np.array([[True], [False]])),
        ((np.float32(1), np.float32(2)), np.array([1, 2], np.float32)),
        (HasArray(), np.arange(3.0)),
        (pd.Series([1, 2]), np.array([1, 2])),
        (pd.Series([1, None], dtype="Int64"), np.array([1.0, np.nan])),
        (pd.DataFrame({"a": [1, 2], "b": [True, False]}), np.array([[1.0, 1.0], [2.0, 0.0]])),
        (pd.DataFrame({"a": [1, 2], "b": [0.5, 1.5]}), np.array([[1.0, 0.5], [2.0, 1.5]])),
    ],
)
def test_numbers_in_many_containers(value, expected):
    found = as_array(value, "x")
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == expected.dtype


def test_an_array_of_the_right_type_is_taken_as_it_is():
    array = np.zeros((2, 3), np.float32)
    assert cast(as_array(array, "x"), "float32") is array
    assert cast(array.T, "float32").flags.c_contiguous
    assert cast(np.array([1e300]), "float32")[0] == np.inf  # without a warning


def test_numbers_written_as_text_are_not_converted_silently():
    with pytest.raises(ValueError, match=r"column 'a' of x is of type .*, not numbers"):
        as_array(pd.DataFrame({"a": ["1.5", "2"], "b": [1, 2]}), "x")


def test_a_sparse_matrix_is_named():
    class Sparse:
        def toarray(self):
            return np.zeros((2, 2))

    with pytest.raises(ValueError, match=r"x is a sparse Sparse; write x.toarray\(\)"):
        as_array(Sparse(), "x")


def test_columns_have_names_only_in_a_frame():
    assert column_names(pd.DataFrame({"a": [1], 2: [3]})) == ["a", "2"]
    assert column_names(pd.Series([1])) is None
    assert column_names(np.zeros((2, 2))) is None


def test_sums_that_overflow_or_cancel_are_not_mistaken():
    assert is_finite(np.array([3e38, 3e38], np.float32))
    assert not is_finite(np.array([np.inf, -np.inf]))
    assert is_finite(np.array([2**62, 2**62]))


def test_the_first_bad_value_is_found_in_any_chunk(monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK", 4)
    array = np.zeros((10, 2))
    array[[6, 9], [1, 0]] = np.nan
    with pytest.raises(ValueError, match=r"x holds nan in row 6, column 1 \(counted from 0"):
        check_finite(array, "x")


@pytest.mark.parametrize(
    ("value", "rows", "expected"),
    [
        ([1, 2], (), [1, 2]),
        ([[1], [2]], (), [1, 2]),
        ([1, 2], (3,), [[1, 1, 1], [2, 2, 2]]),
        ([[1, 2], [3, 4]], (2,), [[1, 2], [3, 4]]),
        ([[[1], [2]], [[3], [4]]], (2,), [[1, 2], [3, 4]]),
        ([[1], [2]], (2,), [[1, 1], [2, 2]]),
    ],
)
def test_a_sample_weight_goes_to_all_rows_of_its_sample(value, rows, expected):
    found = sample_weights(value, 2, rows, "float32")
    np.testing.assert_array_equal(found, np.array(expected, np.float32))
    assert found.flags.c_contiguous


@pytest.mark.parametrize("y", [[0, 1, 2, 1], [[0.0], [1.0], [2.0], [1.0]], np.eye(3)[[0, 1, 2, 1]], [False, True, 2, True]])
def test_class_weights(y):
    np.testing.assert_array_equal(class_weights({0: 0.5, 1: 2}, np.array(y), "float64"), [0.5, 2, 1, 2])


def test_class_weights_need_one_class_per_sample():
    with pytest.raises(ValueError, match="class_weight needs one class per sample"):
        class_weights({0: 1}, np.zeros((2, 3, 4)), "float32")
