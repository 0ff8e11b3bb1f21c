"""A benchmark sets the threads of the process: here they are as before after each test."""

import pytest

from fastnn import config


@pytest.fixture(autouse=True)
def _threads(monkeypatch):
    monkeypatch.setattr(config, "_settings", dict(config._settings))
