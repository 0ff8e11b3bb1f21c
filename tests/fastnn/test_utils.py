"""One-hot labels, normalisation, seeds and names."""

import random
import threading

import numpy as np
import pytest

import fastnn.random
from fastnn.naming import reset_names, unique_name
from fastnn.utils import clear_session, normalize, set_random_seed, to_categorical


@pytest.mark.parametrize("labels", [[0, 2, 1], np.array([0, 2, 1], np.uint8), np.array([[0.0], [2.0], [1.0]])])
def test_to_categorical_makes_one_hot_rows(labels):
    np.testing.assert_array_equal(to_categorical(labels), np.eye(3)[[0, 2, 1]])


def test_to_categorical_keeps_leading_axes_and_takes_num_classes():
    assert to_categorical([[0, 1], [1, 0]], num_classes=4).shape == (2, 2, 4)
    assert to_categorical([], num_classes=3).shape == (0, 3)


@pytest.mark.parametrize(
    ("labels", "classes", "message"),
    [
        ([-1, 0], None, "from 0 to 0, got values from -1 to 0"),
        ([0, 3], 3, "from 0 to 2, got values from 0 to 3"),
        ([1, 2, 3], 3, "For classes 1..C write x - 1"),
        ([0.5], None, "whole class numbers"),
        ([np.nan], None, "whole class numbers"),
        (["cat", "dog"], None, "return_inverse=True"),
    ],
)
def test_to_categorical_refuses_what_is_no_class_number(labels, classes, message):
    with pytest.raises(ValueError, match="x must hold") as error:
        to_categorical(labels, classes)
    assert message in str(error.value)


def test_normalize_divides_by_norms_and_leaves_zero_rows():
    np.testing.assert_allclose(normalize([[3, 4], [0, 0]]), [[0.6, 0.8], [0, 0]])
    np.testing.assert_allclose(normalize([[1, 3], [1, 1]], axis=0, order=1), [[0.5, 0.75], [0.5, 0.25]])


def test_set_random_seed_repeats_python_numpy_and_fastnn():
    def draw():
        set_random_seed(812)
        return random.random(), np.random.rand(), [fastnn.random.next_seed() for _ in range(3)]

    first = draw()
    assert first == draw()
    assert len(set(first[2])) == 3


def test_set_seed_leaves_numpy_alone():
    np.random.seed(1)
    expected = np.random.rand()
    np.random.seed(1)
    fastnn.random.set_seed(5)
    assert np.random.rand() == expected


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", None, True])
def test_impossible_seeds_are_refused(seed):
    with pytest.raises(ValueError, match="seed must be an integer from 0"):
        set_random_seed(seed)


def test_seeds_drawn_in_threads_are_all_different():
    seeds: list[int] = []
    threads = [threading.Thread(target=lambda: seeds.extend(fastnn.random.next_seed() for _ in range(200))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(seeds)) == 1600


def test_names_count_up_until_the_session_is_cleared():
    reset_names()
    assert [unique_name("dense"), unique_name("dense"), unique_name("flatten")] == ["dense", "dense_1", "flatten"]
    clear_session()
    assert unique_name("dense") == "dense"
