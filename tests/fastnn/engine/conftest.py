"""Device "cuda" without a GPU: the engine's, on the reference's kernels, or on the simulator where that is asked for."""

import numpy as np
import pytest

from fastnn.engine import cuda, select
from fastnn.engine.cuda import CudaEngine
from fastnn.engine.device_memory import DeviceTwin
from tests.fastnn.engine.reference_gpu import LOG, gpu, install


@pytest.fixture
def poisoned_host(monkeypatch):
    """The host's memory is NaN while a device owns it."""
    send = DeviceTwin.send

    def send_and_spoil(twin: DeviceTwin, memory: np.ndarray) -> None:
        send(twin, memory)
        memory[:] = 0xFF

    monkeypatch.setattr(DeviceTwin, "send", send_and_spoil)


@pytest.fixture(params=["launches", "one block"])
def steps(request, monkeypatch):
    """How the CUDA engine runs steps: small programs are small enough for either."""
    monkeypatch.setattr(cuda, "one_block_pays", lambda *_: request.param == "one block")
    return request.param


@pytest.fixture
def cuda_by_reference(monkeypatch, poisoned_host):
    """Device "cuda" runs the reference's kernels on the simulator's memory; the log of what it does."""
    engines = {"cuda": CudaEngine(gpu)}
    get = select.get
    monkeypatch.setattr(select, "get", lambda device: engines.get(device) or get(device))
    install(monkeypatch)
    LOG.clear()
    return LOG
