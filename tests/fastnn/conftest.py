"""Programs run in Python processes of their own: what an import or an import hook does shows only there."""

import os
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import pytest

from fastnn.random import set_random_seed

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _the_same_random_numbers_in_every_run(request):
    set_random_seed(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def python_environment():
    """The environment of a Python process that finds this checkout, turns warnings into errors and writes UTF-8."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8", "MPLBACKEND": "Agg"}


@pytest.fixture
def run_python(python_environment):
    """``run_python(program, **variables)`` runs a program to its end and returns what it printed."""

    def run(program: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program)],
            env=python_environment | variables,
            capture_output=True,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
