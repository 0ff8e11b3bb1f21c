"""``python -m fastnn selftest``: what it says, and its exit status, of devices that are right, wrong and missing."""

import numpy as np
import pytest
from fastnn_kernels.instructions import INSTRUCTIONS

from fastnn import selftest
from fastnn.engine import select


@pytest.fixture
def few_cases(monkeypatch):
    """One case of some instructions."""
    cases = {case.op: case for case in reversed(selftest.CASES) if case.op in ("relu", "take_rows", "next_batch")}
    monkeypatch.setattr(selftest, "CASES", list(cases.values()))
    monkeypatch.setattr(selftest, "INSTRUCTIONS", {op: INSTRUCTIONS[op] for op in cases})


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_a_device_that_is_right(few_cases, capsys, device):
    assert selftest.run(device) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"device {device}: 3 instructions, 3 cases in float32 and float64"
    assert [line.split() for line in lines[1:4]] == [[op, "2", "of", "2", "right"] for op in selftest.INSTRUCTIONS]
    assert lines[4].startswith("digits, 64 hidden units, loss of 5 epochs: 2.1")
    assert lines[6].startswith("digits, 512 hidden units, loss of 5 epochs: 1.")
    assert lines[-1].startswith("all right; ")


def test_wrong_numbers_and_failures_are_told(few_cases, capsys, monkeypatch):
    def wrong(name, operands, attributes, **options):
        if name == "next_batch":
            raise RuntimeError("the device is gone")
        select.executor("reference")(name, operands, attributes, **options)
        if name == "relu":
            operands["out"][0] += 1

    executor = select.executor
    monkeypatch.setattr(select, "executor", lambda device: wrong if device == "cpu" else executor(device))
    monkeypatch.setattr(selftest, "train_digits", lambda width, device: [1.0, np.nan if device == "cpu" else 0.5])
    assert selftest.run("cpu") == 1
    text = capsys.readouterr().out
    assert text.count("RuntimeError: the device is gone") == 2
    assert text.count("AssertionError: Not equal to tolerance") == 2
    assert text.count("nan from the reference, at most 0.0001: FAILED") == 2
    assert "6 FAILURES" in text


@pytest.mark.parametrize("device", ["gpu", "cuda"])
def test_a_device_that_is_missing(capsys, monkeypatch, device):
    monkeypatch.setattr("fastnn_kernels.cuda.device.why_not", lambda: "no NVIDIA driver was found")
    select._engine.cache_clear()
    assert selftest.run(device) == 2
    assert {"gpu": "unknown device 'gpu'", "cuda": "no NVIDIA driver was found"}[device] in capsys.readouterr().err
