"""``--exhaustive``: known when this folder is named on the command line, as ``make exhaustive`` does."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--exhaustive", action="store_true", help="every float32, instead of every 65,537th")


@pytest.fixture
def stride(request: pytest.FixtureRequest) -> int:
    """From one tested bit pattern to the next."""
    return 1 if request.config.getoption("--exhaustive", default=False) else 65_537
