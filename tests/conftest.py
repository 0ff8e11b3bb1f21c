"""For all tests."""

import os
import signal

import pytest

from fastnn import config


def pytest_configure():
    """Heed Ctrl-C, which tests send: a process that a shell runs in the background ignores it. Test what the sources compile to."""
    os.environ["FASTNN_PREBUILT"] = "0"
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _as_many_threads_afterwards():
    yield
    config.set_num_threads(None)
