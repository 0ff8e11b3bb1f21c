"""CUDA tests run in the simulator (``NUMBA_ENABLE_CUDASIM=1``) or on a GPU; elsewhere they are skipped."""

import pytest


@pytest.fixture(autouse=True)
def _device(request):
    from fastnn_kernels.cuda import device

    if not getattr(request.module, "NEEDS_NO_DEVICE", False) and (reason := device.why_not()):
        pytest.skip(reason)
