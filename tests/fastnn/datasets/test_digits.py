"""The embedded digits are scikit-learn's, split evenly."""

import numpy as np

from fastnn.datasets import digits


def test_the_split_is_the_same_every_time_and_even():
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    assert (x_train.shape, y_train.shape, x_test.shape, y_test.shape) == ((1442, 8, 8), (1442,), (355, 8, 8), (355,))
    assert x_train.dtype == y_train.dtype == np.uint8
    assert np.bincount(y_test).tolist() == [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]
    np.testing.assert_array_equal(digits.load_data()[1][0], x_test)


def test_the_images_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    bunch = load_digits()
    (x_train, y_train), (x_test, y_test) = digits.load_data()
    ours = sorted((int(label), image.tobytes()) for label, image in zip([*y_train, *y_test], [*x_train, *x_test], strict=True))
    theirs = sorted((int(label), image.astype(np.uint8).tobytes()) for label, image in zip(bunch.target, bunch.images, strict=True))
    assert ours == theirs
