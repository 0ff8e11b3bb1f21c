"""A device whose kernels are the reference's, on the simulator's memory: what an engine moves, and when, shows without a GPU."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fastnn_kernels.cuda import call, device, exchange_simulated, streams
from fastnn_kernels.cuda import device_simulated as simulated
from fastnn_kernels.cuda.adapters import unit_parameters
from fastnn_kernels.cuda.interpreter import NUMBERS
from fastnn_kernels.instructions import FLAG_STATUS, INSTRUCTIONS, ROW_FLAGS, ROW_OPERANDS, ROW_WORDS, STATUS, dtype_name
from fastnn_kernels.reference.kernels import KERNELS
from fastnn_kernels.units import INTERPRETER, split_unit


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
    return {unit: simulated.Entry(unit, unit_parameters(unit), _function(unit)) for unit in units}


def _function(unit: str) -> Callable[..., None]:
    op, dtype = split_unit(unit)
    return _interpreter(dtype) if op == INTERPRETER else _kernel(op, dtype)


def _kernel(op: str, dtype: str) -> Callable[..., None]:
    instruction = INSTRUCTIONS[op]

    def run(status: int, *arguments: Any) -> None:
        if status and array_at(status, (1,), "int64")[0]:
            return
        addresses = arguments[: len(instruction.operands)]
        values = arguments[len(addresses) :]
        sizes = dict(zip(instruction.dimensions, values, strict=False))
        operands = [
            array_at(address, [sizes.get(size, size) for size in spec.shape], dtype_name(spec.dtype, dtype))
            for spec, address in zip(instruction.operands, addresses, strict=True)
        ]
        with np.errstate(all="ignore"):
            KERNELS[op](*operands, *values[len(sizes) :])

    return run


def _interpreter(dtype: str) -> Callable[..., None]:
    """As `fastnn_kernels.cuda.interpreter` says, for one table."""
    kernels = {number: (INSTRUCTIONS[op], _kernel(op, dtype)) for op, number in NUMBERS.items()}

    def run(tables: int, rows: int, first_row: int, steps: int, positions: int) -> None:
        table, position = array_at(tables, (rows, ROW_WORDS), "int64"), first_row
        while position < steps * rows:
            words = table[position % rows].copy()
            instruction, kernel = kernels[int(words[0])]
            kinds = ["i"] * (len(instruction.operands) + len(instruction.dimensions)) + [kind for _, kind in instruction.attributes]
            values = words[ROW_OPERANDS : ROW_OPERANDS + len(kinds)]
            LOG.append(f"row {instruction.name}")
            kernel(
                0, *(float(word.view(np.float64)) if kind == "d" else int(word) for kind, word in zip(kinds, values, strict=True))
            )
            if words[ROW_FLAGS] & FLAG_STATUS:
                control = [spec.name for spec in instruction.operands].index("control")
                if array_at(int(values[control]), (8,), "int64")[STATUS]:
                    break
            position += 1
        array_at(positions, (1,), "int64")[0] = position

    return run


def array_at(address: int, shape: Any, dtype: str) -> np.ndarray | None:
    """The device's memory as an array; None at address 0."""
    if not address:
        return None
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    simulated._check(address, size)
    return np.frombuffer((ctypes.c_byte * size).from_address(address), np.uint8).view(dtype).reshape(shape)


NAMES: dict[str, Any] = {
    "allocate": simulated.allocate,
    "Stream": Stream,
    "load": load,
    "ready": lambda unit: True,
    "properties": simulated.properties,
    "known": simulated.known,
    "memory_info": simulated.memory_info,
    "pinned": simulated.pinned,
    "order": simulated.order,
    "view": exchange_simulated.view,
    "export": exchange_simulated.export,
    "why_not": lambda: None,
}
gpu: Any = SimpleNamespace(**NAMES)


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let arrays that lie on the GPU lie on this one, for the functions of `fastnn_kernels` too."""
    for name, value in NAMES.items():
        monkeypatch.setitem(vars(device), name, value)
    for module in (streams, call):
        monkeypatch.setattr(module, "_threads", threading.local())
