"""For all tests."""

import pytest

from fastnn import config


@pytest.fixture(autouse=True)
def _as_many_threads_afterwards():
    yield
    config.set_num_threads(None)
