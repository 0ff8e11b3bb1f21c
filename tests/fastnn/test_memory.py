"""Memory: where operands lie, how long they are, and that views and addresses agree."""

from __future__ import annotations

import numpy as np
import pytest

from fastnn.memory import ALIGNMENT, CAPACITY_STEP, Memory, aligned
from fastnn.program import BATCH, SAMPLES, SCRATCH, InputSlot, Operand, Program, WeightSlot

X, LABELS = Operand("inputs", 0, (SAMPLES, 12), "u1"), Operand("inputs", 1, (SAMPLES,), "i4")
KERNEL, RUN = Operand("params", 0, (2, 3), "f"), Operand("params", 0, (9,), "f")
FIRST, SECOND = Operand("activations", 0, (BATCH, 3), "f"), Operand("activations", 12, (BATCH * 2,), "f")
TOTAL, SCRATCHPAD = Operand("totals", 16, (2,), "f8"), Operand("scratch", 0, (SCRATCH,), "f")


def make(dtype: str = "float32", capacity: int = 20, **options: object) -> tuple[Memory, np.ndarray]:
    """A memory whose two weights are neighbours in one arena of 64 elements."""
    item = 4 if dtype == "float32" else 8
    program = Program(
        kind="train",
        dtype=dtype,
        rows=(),
        inputs=(InputSlot("x", (3,), "f"), InputSlot("labels", (), "i4")),
        weights=(WeightSlot("kernel", (2, 3), 0), WeightSlot("bias", (3,), 6 * item)),
        bytes={"totals": 32, "activations": 5 * item, "slots": 128},
    )
    arena = np.arange(64, dtype=dtype)
    return Memory(program, capacity, [arena[:6].reshape(2, 3), arena[6:9]], **options), arena  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1, 63, 64, 1000])
def test_aligned(size: int) -> None:
    buffer = aligned(size)
    assert buffer.nbytes == size
    assert size == 0 or buffer.ctypes.data % ALIGNMENT == 0
    assert not buffer.any()


@pytest.mark.parametrize(("capacity", "rounded"), [(1, 16), (16, 16), (17, 32)])
def test_capacity_is_rounded_up(capacity: int, rounded: int) -> None:
    memory, _ = make(capacity=capacity)
    assert CAPACITY_STEP == 16
    assert memory.capacity == rounded
    assert memory.segments["activations"].nbytes == 20 * rounded


@pytest.mark.parametrize("batch", [1, 7, 20])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_of_any_batch_start_at_the_same_place(dtype: str, batch: int) -> None:
    memory, _ = make(dtype)
    second = Operand("activations", 3 * memory.program.item_bytes, (BATCH * 2,), "f")
    views = memory.view(FIRST, batch), memory.view(second, batch)
    assert [view.shape for view in views if view is not None] == [(batch, 3), (2 * batch,)]
    assert memory.address(second) - memory.address(FIRST) == 3 * memory.program.item_bytes * memory.capacity
    assert memory.address(second) % ALIGNMENT == 0


def test_views_and_addresses_agree() -> None:
    memory, _ = make(scratch=10)
    memory.inputs[:] = [np.zeros((4, 3), np.float32), np.arange(4, dtype=np.int32)]
    for operand in (X, LABELS, KERNEL, RUN, FIRST, SECOND, TOTAL, SCRATCHPAD):
        view = memory.view(operand, 7)
        assert view is not None
        assert view.ctypes.data == memory.address(operand)
        assert view.dtype == memory.dtype(operand)
        assert view.shape == memory.shape(operand, 7)


def test_views_share_memory() -> None:
    memory, arena = make()
    total, kernel = memory.view(TOTAL, 1), memory.view(KERNEL, 1)
    assert total is not None
    assert kernel is not None
    total[:] = 2.5
    kernel[1, 2] = -1.0
    assert memory.segments["totals"].view(np.float64).tolist() == [0.0, 0.0, 2.5, 2.5]
    assert arena[5] == -1.0


def test_a_run_spans_neighbouring_weights() -> None:
    memory, arena = make()
    run = memory.view(RUN, 1)
    assert run is not None
    run += 100.0
    np.testing.assert_array_equal(memory.weights[1], [106.0, 107.0, 108.0])
    assert arena[9] == 9.0


def test_inputs_are_used_in_place_and_may_be_absent() -> None:
    memory, _ = make()
    assert memory.address(X) == 0
    assert memory.view(X, 7) is None
    assert memory.shape(X, 7) == (0, 12)
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    memory.inputs[0] = x
    view = memory.view(X, 7)
    assert view is not None
    assert view.shape == (4, 12)
    assert np.shares_memory(view, x)


def test_an_absent_operand_has_no_address() -> None:
    memory, _ = make()
    assert memory.address(None) == 0
    assert memory.view(None, 3) is None


@pytest.mark.parametrize(("size", "value"), [(5, 5), (BATCH, 7), (BATCH * 4, 28), (SCRATCH, 11), (SAMPLES, 0)])
def test_size(size: int, value: int) -> None:
    memory, _ = make(scratch=11)
    assert memory.size(size, 7) == value


def test_shared_segments_are_used_in_place() -> None:
    slots = aligned(128)
    memory, _ = make(shared={"slots": slots})
    assert memory.segments["slots"] is slots
