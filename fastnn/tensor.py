"""Arrays that answer ``.numpy()``, as programs written for TensorFlow expect of results."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Tensor(np.ndarray):
    """A NumPy array with the method ``numpy``.

    >>> import numpy as np
    >>> np.array([1.0, 2.0]).view(Tensor).numpy()
    array([1., 2.])
    """

    def numpy(self) -> NDArray:
        """The same data as a plain array."""
        return self.view(np.ndarray)
