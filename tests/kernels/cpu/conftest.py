"""Instructions of the tests' own, with kernels that tell what happened, and an empty cache directory to compile them into."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
from fastnn_kernels.instructions import FLAG_BARRIER, FLAG_STATUS, INSTRUCTIONS, ROW_WORDS, STATUS, STEP, parse

CONTRACTS = {
    # log[0] += 1; log[log[0]] = value
    "test_note": ("-> log+ (L,) i8; value i", False),
    # counts[worker] += 1
    "test_count": ("-> counts+ (W,) i8", True),
    # out = reversed(x) + 1, a slice for each worker
    "test_turn": ("x (N,) i8 -> out (N,) i8", True),
    # control[STEP] += 1, and trouble when it reaches `at`
    "test_trip": ("-> control+ (8,) i8; at i", False),
    # out = factor * x
    "test_scale": ("x (N,) f -> out (N,) f; factor d", True),
    # seen = the sizes, first elements and attributes of everything
    "test_probe": (
        "x (A, B) f, labels? (C,) i4, index? (C,) i8, raw? (D,) u1, exact? (E, F) f8 -> seen (16,) f8, out~ (A, B) f; "
        "scale d, accumulate i",
        True,
    ),
    "test_raise": ("-> log+ (L,) i8", True),
    "test_allocate": ("-> log+ (L,) i8", True),
}


def make_kernels():
    from fastnn_kernels.cpu.options import kernel

    @kernel
    def test_note(log, value, worker, workers):
        log[0] += 1
        log[log[0]] = value

    @kernel
    def test_count(counts, worker, workers):
        counts[worker] += 1

    @kernel
    def test_turn(x, out, worker, workers):
        for i in range(x.size * worker // workers, x.size * (worker + 1) // workers):
            out[i] = x[x.size - 1 - i] + 1

    @kernel
    def test_trip(control, at, worker, workers):
        control[STEP] += 1
        if control[STEP] == at:
            control[STATUS] = 1

    @kernel
    def test_scale(x, out, factor, worker, workers):
        for i in range(x.size * worker // workers, x.size * (worker + 1) // workers):
            out[i] = factor * x[i]

    @kernel
    def test_probe(x, labels, index, raw, exact, seen, out, scale, accumulate, worker, workers):
        sizes = (x.shape[0], x.shape[1], labels.size, index.size, raw.size, exact.shape[0], exact.shape[1], out.shape[0])
        for i in range(8):
            seen[i] = sizes[i]
        seen[8] = x[1, 2]
        seen[9] = labels[1] if labels.size else -1
        seen[10] = index[1] if index.size else -1
        seen[11] = raw[1] if raw.size else -1
        seen[12] = exact[1, 1] if exact.size else -1
        seen[13] = scale
        seen[14] = accumulate
        out[0, 0] = x.itemsize

    @kernel
    def test_raise(log, worker, workers):
        if log[0] < 0:
            raise ValueError("negative")

    @kernel
    def test_allocate(log, worker, workers):
        log[0] = np.zeros(log.size).size

    return {name: function for name, function in locals().items() if name in CONTRACTS}


@pytest.fixture(scope="session")
def cache_directory(tmp_path_factory):
    return tmp_path_factory.mktemp("objects")


@pytest.fixture
def instructions(monkeypatch, cache_directory):
    """The tests' instructions beside the real ones."""
    monkeypatch.setenv("FASTNN_CACHE_DIR", str(cache_directory))
    table = importlib.import_module("fastnn_kernels.cpu.kernels").KERNELS
    for name, kernel in make_kernels().items():
        contract, parallel = CONTRACTS[name]
        monkeypatch.setitem(INSTRUCTIONS, name, parse(name, contract, parallel=parallel, may_stop=name == "test_trip"))
        monkeypatch.setitem(table, name, kernel)


@pytest.fixture
def make_table(instructions):
    """``make_table((op, flags, operands, attributes), ...)``: rows as an int64 array; operands in the contract's order."""
    from fastnn_kernels.cpu import objects
    from fastnn_kernels.cpu.execute import check_operands, fill_row
    from fastnn_kernels.units import unit_name

    kept = []  # rows hold bare addresses

    def make(*rows):
        table = np.zeros((len(rows), ROW_WORDS), np.int64)
        for words, (op, flags, arrays, attributes) in zip(table, rows, strict=True):
            instruction, unit = INSTRUCTIONS[op], unit_name(op, "float32")
            kept.extend(arrays)
            named = dict(zip((spec.name for spec in instruction.operands), arrays, strict=True))
            sizes = check_operands(instruction, named, "float32")
            fill_row(words, objects.load([unit])[unit], flags, [array.ctypes.data for array in arrays], sizes, attributes)
        return table

    return make


@pytest.fixture
def flags():
    return SimpleNamespace(barrier=FLAG_BARRIER, status=FLAG_STATUS)
