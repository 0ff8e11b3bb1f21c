"""Memory: where operands lie, how long they are, and that views and addresses agree."""

from __future__ import annotations

import copy
import os
import pickle
import threading
import warnings
from unittest.mock import Mock, patch

import numpy as np
import pytest

from fastnn import Input, Sequential
from fastnn.layers import Dense
from fastnn.memory import ALIGNMENT, AWAY, CAPACITY_STEP, Buffer, Memory, aligned, lent
from fastnn.optimizers import SGD
from fastnn.program import BATCH, SAMPLES, SCRATCH, InputSlot, Operand, Program, WeightSlot
from fastnn.variables import Variable

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
    slots = Buffer(128)
    memory, _ = make(shared={"slots": slots})
    assert memory.segments["slots"] is slots.memory


class PoisoningTwin:
    """A device's copy that spoils the host's memory as soon as the device owns the bytes."""

    def __init__(self, size: int) -> None:
        self.copy = np.zeros(size, np.uint8)

    def send(self, memory: np.ndarray) -> None:
        self.copy[:] = memory
        memory[:] = 0xFF

    def fetch(self, memory: np.ndarray) -> None:
        memory[:] = self.copy


def twins() -> tuple[Buffer, PoisoningTwin]:
    """A buffer of zeros, at home, and its twin."""
    buffer, twin = Buffer(64), PoisoningTwin(64)
    buffer.twin = twin
    return buffer, twin


def send_away(*buffers: Buffer) -> None:
    """A run on the device that does nothing."""
    with lent(buffers):
        pass


def test_the_device_keeps_the_bytes_until_somebody_looks() -> None:
    buffer, twin = twins()
    with lent([buffer]):
        twin.copy += 1
    assert id(buffer) in AWAY
    assert (buffer.memory == 0xFF).all()
    with lent([buffer]):  # nothing is sent
        twin.copy += 1
    assert (buffer.home() == 2).all()
    assert id(buffer) not in AWAY
    buffer.memory[:] = 5
    send_away(buffer)
    assert (twin.copy == 5).all()
    assert (buffer.home() == 5).all()


def test_who_looks_during_a_run_waits_for_its_end() -> None:
    buffer, twin = twins()
    seen: list[int] = []
    looking = threading.Thread(target=lambda: seen.append(int(buffer.home()[0])))
    with lent([buffer]):
        with lent([buffer]):  # two runs
            looking.start()
        looking.join(0.05)
        assert looking.is_alive()
        twin.copy[:] = 7
    looking.join(10)
    assert seen == [7]


def test_who_looks_comes_before_the_next_run() -> None:
    buffer, _ = twins()
    looked, over = threading.Event(), threading.Event()

    def runs_one_after_the_other() -> None:
        while not looked.is_set():
            with lent([buffer]):
                over.wait(0.001)

    training = threading.Thread(target=runs_one_after_the_other)
    training.start()
    for _ in range(20):
        buffer.home()
    looked.set()
    training.join(10)
    assert not training.is_alive()


def test_a_run_that_cannot_be_sent_is_none() -> None:
    (first, _), (second, broken) = twins(), twins()
    broken.send = Mock(side_effect=MemoryError)  # type: ignore[method-assign]
    with pytest.raises(MemoryError), lent([first, second]):
        pytest.fail("it ran")
    assert (first.home() == 0).all()  # does not wait for ever
    assert id(second) not in AWAY


def test_what_cannot_be_fetched_stays_away() -> None:
    buffer, twin = twins()
    send_away(buffer)
    with patch.object(twin, "fetch", side_effect=RuntimeError), pytest.raises(RuntimeError):
        buffer.home()
    assert id(buffer) in AWAY
    assert (buffer.home() == 0).all()


def test_a_buffer_that_is_gone_is_away_no_longer() -> None:
    buffer, _ = twins()
    name = id(buffer)
    send_away(buffer)
    assert name in AWAY
    del buffer
    assert name not in AWAY


def test_variables_and_the_optimizers_state_come_home_when_they_are_looked_at() -> None:
    kernel, optimizer = Variable([1.0, 2.0], name="kernel"), SGD(0.5, momentum=0.9)
    optimizer.build([kernel])
    velocity = optimizer.variables[2]
    assert kernel.buffer is not None
    for buffer in (kernel.buffer, optimizer.buffer):
        buffer.twin = PoisoningTwin(len(buffer.memory))
    looks = [
        (kernel.buffer, lambda: kernel.numpy(), [1.0, 2.0]),
        (kernel.buffer, lambda: np.asarray(kernel), [1.0, 2.0]),
        (kernel.buffer, lambda: pickle.loads(pickle.dumps(kernel)).numpy(), [1.0, 2.0]),
        (kernel.buffer, lambda: copy.copy(kernel).numpy(), [1.0, 2.0]),
        (optimizer.buffer, lambda: velocity.numpy(), [0.0, 0.0]),
        (optimizer.buffer, lambda: optimizer.variables[2].numpy(), [0.0, 0.0]),
        (optimizer.buffer, lambda: pickle.loads(pickle.dumps(optimizer)).variables[2].numpy(), [0.0, 0.0]),
    ]
    for buffer, look, value in looks:
        send_away(buffer)
        np.testing.assert_array_equal(look(), value)
    send_away(kernel.buffer, optimizer.buffer)
    optimizer.apply([[2.0, 2.0]], [kernel])
    np.testing.assert_array_equal(kernel.numpy(), [0.0, 1.0])


@pytest.mark.parametrize("device", ["cpu", "reference"])
def test_engines_on_the_host_bring_home_what_they_run_on(device: str) -> None:
    model = Sequential([Input((3,)), Dense(2, kernel_initializer="ones")])
    model.compile(SGD(0.1, momentum=0.9), "mse", device=device)
    predictor = model.predictor(1)
    model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
    wanted, x = model.get_weights(), np.ones((1, 3), np.float32)
    output = predictor(x)
    assert model.optimizer is not None
    arena = model.weights[0].buffer
    assert arena is not None
    for buffer in (arena, model.optimizer.buffer):
        buffer.twin = PoisoningTwin(len(buffer.memory))
        send_away(buffer)
    np.testing.assert_array_equal(predictor(x), output)
    send_away(arena)
    np.testing.assert_array_equal(model(x), output)
    send_away(arena)
    model.train_on_batch(np.ones((4, 3)), np.ones((4, 2)))
    assert not {id(arena), id(model.optimizer.buffer)} & AWAY.keys()
    assert np.isfinite(model.get_weights()[0]).all()
    assert not np.array_equal(model.get_weights()[0], wanted[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")
def test_before_a_fork_everything_comes_home() -> None:
    buffer, twin = twins()
    send_away(buffer)
    twin.copy[:] = 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of threads at a fork
        child = os.fork()
    if child == 0:
        os._exit(int(buffer.memory[0]))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3
    assert id(buffer) not in AWAY
