"""The simulator's device catches what a GPU would answer with an error, or not at all."""

import gc

import numpy as np
import pytest
from fastnn_kernels.cuda import SIMULATED

pytestmark = pytest.mark.skipif(not SIMULATED, reason="of the simulator")


@pytest.fixture
def device():
    from fastnn_kernels.cuda import device

    return device


def test_memory_begins_as_garbage_and_goes_to_and_fro(device):
    stream, buffer = device.Stream(), device.allocate(24)
    found = np.zeros(3)
    stream.download(found, buffer.address)
    stream.synchronize()
    assert np.isnan(found).all()
    stream.upload(buffer.address + 8, np.arange(2.0))
    stream.download(found, buffer.address)
    stream.synchronize()
    assert found[1:].tolist() == [0, 1]


def test_memory_of_the_host_or_given_back_is_refused(device):
    stream, host, buffer = device.Stream(), np.zeros(4, np.float32), device.allocate(16)
    entry = device.load(["relu-float32"])["relu-float32"]
    arguments = (0, buffer.address, buffer.address, 4, 0.0, np.inf, 0.0)
    stream.launch(entry, 1, arguments)
    with pytest.raises(RuntimeError, match="not memory of the device"):
        stream.launch(entry, 1, (0, host.ctypes.data, *arguments[2:]))
    with pytest.raises(RuntimeError, match="20 bytes at address"):
        stream.upload(buffer.address, np.zeros(5, np.float32))
    del buffer
    gc.collect()
    with pytest.raises(RuntimeError, match="not memory of the device"):
        stream.launch(entry, 1, arguments)


def test_a_graph_repeats_its_launches_until_a_status_is_set(device):
    stream, control = device.Stream(), np.zeros(8, np.int64)
    buffer = device.allocate(control.nbytes)
    entry = device.load(["next_batch"])["next_batch"]
    graph = stream.capture([(entry, 1, (buffer.address + 32, buffer.address, 5))] * 2)
    stream.upload(buffer.address, control)
    graph.launch(3)
    stream.download(control, buffer.address)
    stream.synchronize()
    assert control[:3].tolist() == [6, 25, 30]
    control[4] = 1
    stream.upload(buffer.address, control)
    graph.launch(3)
    stream.download(control, buffer.address)
    stream.synchronize()
    assert control[:3].tolist() == [6, 25, 30]


def test_the_device_describes_itself(device):
    assert device.available()
    assert device.describe() == "simulator"
    assert device.properties()["multiprocessors"] > 1
