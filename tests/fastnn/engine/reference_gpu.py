"""A device whose kernels are the reference's, on the simulator's memory: what an engine moves, and when, shows without a GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
from fastnn_kernels.cuda import device_simulated as simulated
from fastnn_kernels.cuda.adapters import parameters
from fastnn_kernels.instructions import DTYPES, INSTRUCTIONS
from fastnn_kernels.reference.kernels import KERNELS
from fastnn_kernels.units import split_unit


class Stream(simulated.Stream):
    """Copies by the simulator, launches by NumPy."""

    def launch(self, entry: simulated.Entry, blocks: int, arguments: Any) -> None:
        assert blocks >= 1
        kinds = [float if kind == "float64" else int for kind in entry.parameters.values()]
        assert [type(value) for value in arguments] == kinds  # a driver takes their bits as they are
        LOG.append(entry.unit)
        entry.function(*arguments)

    def upload(self, address: int, array: np.ndarray) -> None:
        LOG.append(f"upload {array.nbytes}")
        super().upload(address, array)

    def download(self, array: np.ndarray, address: int) -> None:
        LOG.append(f"download {array.nbytes}")
        super().download(array, address)

    def capture(self, launches: Any) -> simulated.Graph:
        LOG.append("capture")
        return super().capture(launches)


LOG: list[str] = []
"""Launches, copies and captures so far."""


def load(units: Iterable[str], progress: Callable[[int, int, str], None] | None = None) -> dict[str, simulated.Entry]:
    return {unit: simulated.Entry(unit, parameters(INSTRUCTIONS[split_unit(unit)[0]]), _function(unit)) for unit in units}


def _function(unit: str) -> Callable[..., None]:
    op, dtype = split_unit(unit)
    instruction = INSTRUCTIONS[op]

    def run(status: int, *arguments: Any) -> None:
        if status and array_at(status, (1,), "int64")[0]:
            return
        addresses = arguments[: len(instruction.operands)]
        values = arguments[len(addresses) :]
        sizes = dict(zip(instruction.dimensions, values, strict=False))
        operands = [
            array_at(address, [sizes.get(size, size) for size in spec.shape], dtype if spec.dtype == "f" else DTYPES[spec.dtype])
            for spec, address in zip(instruction.operands, addresses, strict=True)
        ]
        with np.errstate(all="ignore"):
            KERNELS[op](*operands, *values[len(sizes) :])

    return run


def array_at(address: int, shape: Any, dtype: str) -> np.ndarray | None:
    """The device's memory as an array; None at address 0."""
    if not address:
        return None
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    simulated._check(address, size)
    return np.frombuffer((ctypes.c_byte * size).from_address(address), np.uint8).view(dtype).reshape(shape)


gpu: Any = SimpleNamespace(
    allocate=simulated.allocate, Stream=Stream, load=load, properties=simulated.properties, why_not=lambda: None
)
