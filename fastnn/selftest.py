"""``python -m fastnn selftest``: is what a device computes right? Every instruction against the reference, then trainings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from fastnn_kernels import to_device
from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.selftest.case import check
from fastnn_kernels.selftest.cases import CASES

from fastnn import Input, Sequential, config
from fastnn.config import FLOAT_TYPES
from fastnn.datasets import digits
from fastnn.engine import select
from fastnn.layers import Dense, Flatten
from fastnn.utils import set_random_seed

WORKERS = (1, 3)
"""Threads, or blocks of a GPU: the bits must not depend on them."""

WIDTHS = (64, 512)
"""Hidden units of the trainings: a GPU may run small and large programs in different ways."""

EPOCHS = 5
LOSS_TOLERANCE = 1e-4
"""How far a loss of the training may be from the reference's, as a fraction of it: float32 rounds 230 updates differently."""


def run(device: str) -> int:
    """Test ``device``, a line for each instruction; exit status 0 if all is right, 1 if not, 2 if it cannot be used."""
    start = time.perf_counter()
    try:
        execute = select.executor(device)
    except (RuntimeError, ValueError) as error:
        print(f"python -m fastnn selftest: {error}", file=sys.stderr)
        return 2
    print(f"device {device}: {len(INSTRUCTIONS)} instructions, {len(CASES)} cases in {' and '.join(FLOAT_TYPES)}", flush=True)
    failures = sum(instruction_failures(op, execute) for op in INSTRUCTIONS)
    failures += sum(training_failures(width, device) for width in WIDTHS)
    failures += place_failures(device)
    print(f"{f'{failures} FAILURES' if failures else 'all right'}; {time.perf_counter() - start:.1f} s")
    return 1 if failures else 0


def instruction_failures(op: str, execute: Callable[..., None]) -> int:
    """Every case of ``op``, outputs poisoned and inputs random; returns how many failed."""
    trials = [(case, dtype) for case in CASES if case.op == op for dtype in FLOAT_TYPES]
    told = []
    for case, dtype in trials:
        try:
            check(case, execute, dtype, WORKERS)
        except Exception as error:  # a device that fails otherwise than by a wrong number is told of as well
            told.append(f"  {case.path}, {dtype}: {type(error).__name__}: {' '.join(str(error).split())}")
    print(f"{op:36}{len(trials) - len(told):3} of {len(trials):3} {'FAILED' if told else 'right'}", *told, sep="\n", flush=True)
    return len(told)


def training_failures(width: int, device: str) -> int:
    """Some epochs over the digits, whose loss must fall as the reference's does; returns 1 when it does not."""
    losses, wanted = train_digits(width, device), train_digits(width, "reference")
    difference = float(np.max(np.abs(np.subtract(losses, wanted)) / wanted)) if len(losses) == len(wanted) else np.inf
    right = difference <= LOSS_TOLERANCE  # not so when it is NaN
    print(f"digits, {width} hidden units, loss of {EPOCHS} epochs: {' '.join(f'{loss:.4f}' for loss in losses)}")
    print(f"  {difference:.1e} from the reference, at most {LOSS_TOLERANCE:g}: {'right' if right else 'FAILED'}", flush=True)
    return 0 if right else 1


def place_failures(device: str) -> int:
    """On a GPU, samples that lie there and samples that are streamed must give the bits of those that are sent; how many do not."""
    if not select.get(device).takes_device_arrays:
        return 0
    wanted, failures, before = train_digits(WIDTHS[0], device), 0, config.sample_memory()
    for what, place, memory in (("on the GPU", to_device, None), ("streamed", np.asarray, 0)):
        config.set_sample_memory(memory)
        try:
            right = train_digits(WIDTHS[0], device, place) == wanted
        finally:
            config.set_sample_memory(before)
        print(f"digits, samples {what}: {'the same bits' if right else 'FAILED'}", flush=True)
        failures += not right
    return failures


def train_digits(width: int, device: str, place: Callable[[Any], Any] = np.asarray) -> list[float]:
    """The loss after each epoch, ``place`` having put the samples somewhere; the same seed for every device."""
    set_random_seed(0)
    (x, y), _ = digits.load_data()
    model = Sequential([Input((8, 8)), Flatten(), Dense(width, activation="relu"), Dense(10, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", device=device)
    return model.fit(place((x / 16).astype(np.float32)), place(y), epochs=EPOCHS, verbose=0).history["loss"]
