"""CUDA tests run in the simulator (``NUMBA_ENABLE_CUDASIM=1``) or on a GPU; elsewhere they are skipped."""

import pytest


@pytest.fixture(autouse=True)
def _device():
    device = pytest.importorskip("fastnn_kernels.cuda.device", exc_type=ImportError)
    if reason := device.why_not():
        pytest.skip(reason)
