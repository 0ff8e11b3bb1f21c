"""Arrays for the tests of functions on arrays that lie on the GPU."""

from __future__ import annotations

import numpy as np
import pytest
from fastnn_kernels.cuda import SIMULATED

from tests.fastnn.engine import reference_gpu

RNG = np.random.default_rng(0)


def uniform(*shape: int) -> np.ndarray:
    return RNG.uniform(0.1, 0.9, shape).astype(np.float32)


X, DOUT, KERNEL, BIAS, ROWS = uniform(3, 5, 4), uniform(3, 5, 4), uniform(4, 6), uniform(6), uniform(5, 4)
LABELS = RNG.integers(0, 4, (3, 5))


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference's kernels in the simulator's memory, where the simulator's own are not asked for."""
    if not SIMULATED:
        reference_gpu.install(monkeypatch)
