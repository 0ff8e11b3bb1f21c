"""Functions on arrays that lie on the device, a GPU or the simulator; and arrays that go out and come in again."""

import threading

import fastnn_kernels
import numpy as np
import pytest
from fastnn_kernels import to_device
from fastnn_kernels.cuda import contents, foreign
from fastnn_kernels.cuda.call import call
from fastnn_kernels.cuda.matmul.blocking import COUNTERS, PART_TERMS
from fastnn_kernels.functions import places

from tests.kernels.functions.on_gpu import ROWS, X
from tests.kernels.functions.test_on_gpu import close, each, sent


class Handed:
    """An array of another library that has taken one of ours, by one protocol."""

    def __init__(self, array, protocol):
        self.array = array
        for name in protocol:
            setattr(self, name, getattr(array, name))


@each
def test_results_are_those_of_the_host(name, inputs, keywords):
    function = getattr(fastnn_kernels, name)
    close(function(*sent(inputs), **sent(keywords)), function(*inputs, **keywords))


def test_products_of_a_thread_share_their_scratch(monkeypatch):
    given = []
    monkeypatch.setattr(places, "call", lambda *arguments: given.append(arguments[2][3]) or call(*arguments))
    short, long = np.ones((3, 2 * PART_TERMS), np.float32), np.ones((2 * PART_TERMS, 5), np.float32)
    for dtype in (np.float32, np.float32, np.float64):
        a, b = short.astype(dtype), long.astype(dtype)
        close(fastnn_kernels.matmul(to_device(a), to_device(b)), a @ b)
        scratch = given[-1].copy_to_host()
        assert (scratch[:COUNTERS].view(np.uint8) == 0).all()
        assert np.isfinite(scratch[COUNTERS:]).any()  # the terms were split
    first, second, doubles = given
    assert first is second
    assert first.address != doubles.address
    other = threading.Thread(target=lambda: given.append(places.scratch(first.dtype)))
    other.start()
    other.join()
    assert given[-1].address != first.address
    assert given[-1].stream != first.stream


@pytest.mark.parametrize("protocol", [("__dlpack__", "__dlpack_device__"), ("__cuda_array_interface__",)])
def test_an_array_goes_out_and_comes_in(protocol):
    for array in (to_device(ROWS), to_device(X)[1:], to_device(ROWS).T):
        found = foreign.read(Handed(array, protocol), "x")
        assert (found.address, found.shape, found.dtype) == (array.address, array.shape, array.dtype)
        np.testing.assert_array_equal(found.copy_to_host(), array.copy_to_host())
    result = fastnn_kernels.matmul(Handed(to_device(ROWS).T, protocol), Handed(to_device(ROWS), protocol))
    close(result, fastnn_kernels.matmul(ROWS.T, ROWS))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_an_array_holds(dtype, monkeypatch):
    monkeypatch.setattr(contents, "PART", 45)
    monkeypatch.setattr(contents, "COLUMNS", 8)
    values = np.linspace(0, 1, 70).astype(dtype)
    assert contents.all_finite(to_device(values))
    assert contents.all_fractions(to_device(values.reshape(7, 10)))
    assert contents.all_finite(to_device(np.full(70, np.finfo(dtype).max)))
    for value, finite in ((np.nan, False), (np.inf, False), (-np.inf, False), (-1e-30, True), (1.000001, True)):
        values[33] = value
        array = to_device(values)
        assert contents.all_finite(array) == finite
        assert not contents.all_fractions(array)
