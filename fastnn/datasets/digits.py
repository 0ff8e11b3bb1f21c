"""1,797 handwritten digits, 8x8 pixels: "Optical Recognition of Handwritten Digits" of the UCI Machine Learning Repository.

E. Alpaydin and C. Kaynak, 1998, https://doi.org/10.24432/C50P49, licence CC BY 4.0. These are the images of the data set's
test part, written by 13 people, as shipped in scikit-learn (``sklearn.datasets.load_digits``): 32x32 bitmaps, each pixel the
number of set points in a 4x4 block.
"""

from __future__ import annotations

from importlib import resources

import numpy as np
from numpy.typing import NDArray

from fastnn.errors import refuse_names

__all__ = ["load_data"]

refuse_names(__name__)

Split = tuple[NDArray[np.uint8], NDArray[np.uint8]]

TEST_EVERY = 5
"""Of the images of each digit, in the order of the file, every fifth is a test image."""


def load_data() -> tuple[Split, Split]:
    """The digits, split into training and test data; the same split every time.

    Of the images of each digit, in the order of the file, the fifth, tenth, ... go to the test data, so all ten digits are
    as frequent there as in the training data. The same people wrote both parts.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        ``x``: uint8 (1442, 8, 8) and (355, 8, 8), pixels from 0 (paper) to 16 (ink); ``y``: uint8 (1442,) and (355,), the
        digits 0 to 9.

    Examples
    --------
    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, x_test.shape, x_train.dtype.name, int(x_train.max())
    ((1442, 8, 8), (355, 8, 8), 'uint8', 16)
    """
    with resources.files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file) as stored:
        images, labels = stored["images"], stored["labels"]
    test = np.zeros(len(labels), bool)
    for digit in range(10):
        test[np.flatnonzero(labels == digit)[TEST_EVERY - 1 :: TEST_EVERY]] = True
    return (images[~test], labels[~test]), (images[test], labels[test])
