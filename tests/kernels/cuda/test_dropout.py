"""Philox on the device; the numbers that an array draws are held to the reference's by the cases of all targets."""

import pytest
from fastnn_kernels.cuda import SIMULATED

from tests.kernels.test_dropout import KNOWN_ANSWERS, words

pytestmark = pytest.mark.skipif(not SIMULATED, reason="device functions are called from Python in the simulator alone")


@pytest.mark.parametrize(("counter", "key", "result"), KNOWN_ANSWERS)
def test_philox_gives_the_published_numbers(counter, key, result):
    from fastnn_kernels.cuda.dropout import philox

    assert philox(*words(counter), *words(key)) == tuple(words(result))
