"""What programs written for Keras use of TensorFlow itself, beside ``tf.keras``."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from fastnn.tensor import Tensor

__all__ = ["constant", "convert_to_tensor", "float32", "float64", "int32", "int64"]

float32, float64, int32, int64 = np.float32, np.float64, np.int32, np.int64


def constant(value: ArrayLike, dtype: DTypeLike | None = None) -> Tensor:
    """``value`` as an array; Python floats become float32 and Python ints int32, as in TensorFlow.

    >>> constant([[1.0, 2.0]]).dtype.name, constant([1, 2]).dtype.name
    ('float32', 'int32')
    """
    array = np.array(value, dtype)
    if dtype is None and not hasattr(value, "dtype"):
        array = array.astype({"f": np.float32, "i": np.int32}.get(array.dtype.kind, array.dtype))
    return array.view(Tensor)


convert_to_tensor = constant
