"""The CPU engine: tables that follow the caller's arrays, stops and resumes, the same bits for any number of workers."""

import numpy as np
import pytest
from fastnn_kernels.cpu.matmul.blocking import SCRATCH_ELEMENTS
from fastnn_kernels.instructions import NEXT_POSITION, ROW_FLAGS, STATUS, STEP

from fastnn import config
from fastnn.engine.cpu import LEAST_WORKERS, CpuEngine
from fastnn.engine.reference import ReferenceEngine
from fastnn.memory import Memory
from fastnn.program import BATCH, SAMPLES, SCRATCH, InputSlot, Operand, Program, Row, WeightSlot

FEATURES, UNITS = 5, 3
CONTROL = Operand("control", 0, (8,), "i8")
RELU = (0.0, np.inf, 0.0)


def make_program(dtype="float32", features=FEATURES, units=UNITS):
    """``out = relu(x @ kernel)`` over the samples in an order of the caller's."""
    item = 4 if dtype == "float32" else 8
    x, hidden = Operand("activations", 0, (BATCH, features), "f"), Operand("activations", features * item, (BATCH, units), "f")
    x_bytes, out_bytes = features * item, units * item
    taken = Operand("activations", 0, (BATCH, x_bytes), "u1")
    flat = Operand("activations", features * item, (BATCH * units,), "f")
    written = Operand("activations", features * item, (BATCH, out_bytes), "u1")
    data, index = Operand("inputs", 0, (SAMPLES, x_bytes), "u1"), Operand("inputs", 1, (SAMPLES,), "i8")
    out = Operand("inputs", 2, (SAMPLES, out_bytes), "u1")
    kernel, scratch = Operand("params", 0, (features, units), "f"), Operand("scratch", 0, (SCRATCH,), "f")
    program = Program(
        kind="predict",
        dtype=dtype,
        rows=(
            Row("next_batch", (CONTROL,), (BATCH,), barrier=True),
            Row("take_rows", (data, index, CONTROL, taken), barrier=True),
            Row("matmul", (x, kernel, None, scratch, hidden), (0, 0, 0, 0.0, 0, 0), barrier=True),
            Row("relu", (flat, flat), RELU, barrier=True),
            Row("put_rows", (written, CONTROL, out), barrier=True),
        ),
        inputs=(InputSlot("x", (features,), "f"), InputSlot("index", (), "i8"), InputSlot("out", (units,), "f")),
        weights=(WeightSlot("kernel", (features, units)),),
        bytes={"control": 64, "activations": (features + units) * item},
    )
    program.verify()
    return program


def make_memory(engine, program, samples=11, batch=4, seed=0):
    rng = np.random.default_rng(seed)
    features, units = program.weights[0].shape
    kernel = rng.normal(size=(features, units)).astype(program.dtype)
    memory = Memory(program, batch, [kernel], scratch=engine.scratch_elements(program, 4))
    memory.inputs[0] = rng.normal(size=(samples, features)).astype(program.dtype)
    memory.inputs[2] = np.zeros((samples, units), program.dtype)
    return memory


def restart(memory):
    control = memory.segments["control"].view(np.int64)
    control[:] = 0
    control[STEP] = -1
    return control


def expected(memory, order=None):
    x = memory.inputs[0] if order is None else memory.inputs[0][order]
    return np.maximum(x @ memory.weights[0], 0)


@pytest.fixture(scope="module")
def engine():
    return CpuEngine()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_batches_and_the_short_one(engine, dtype):
    program = make_program(dtype)
    memory = make_memory(engine, program)
    control = restart(memory)
    assert engine.run(engine.bind(program, memory, 4), 2) is None
    assert engine.run(engine.bind(program, memory, 3), 1) is None
    np.testing.assert_allclose(memory.inputs[2], expected(memory), rtol=1e-5, atol=1e-6)
    assert (control[STEP], control[NEXT_POSITION]) == (2, 11)


def test_rebinding_follows_the_arrays_and_their_lengths(engine):
    program = make_program()
    memory = make_memory(engine, program, samples=8)
    bound = engine.bind(program, memory, 4)
    order = np.random.default_rng(1).permutation(12)
    x = np.random.default_rng(2).normal(size=(12, FEATURES)).astype(np.float32)
    memory.inputs[:] = [x, order, np.zeros((12, UNITS), np.float32)]
    engine.rebind_inputs(bound)
    np.testing.assert_array_equal(bound.table, engine.bind(program, memory, 4).table)
    restart(memory)
    engine.run(bound, 3)
    np.testing.assert_allclose(memory.inputs[2], expected(memory, order), rtol=1e-5, atol=1e-6)
    memory.inputs[1] = None
    engine.rebind_inputs(bound)
    np.testing.assert_array_equal(bound.table, engine.bind(program, memory, 4).table)
    restart(memory)
    engine.run(bound, 3)
    np.testing.assert_allclose(memory.inputs[2], expected(memory), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3, 2), (64, 70), (300, 33)])
def test_the_same_bits_for_any_number_of_workers(engine, dtype, shape):
    program, results = make_program(dtype, *shape), []
    for workers in (1, 2, 3, 7):
        memory = make_memory(engine, program, samples=260, batch=130)
        restart(memory)
        assert engine.run(engine.bind(program, memory, 130), 2, workers=workers) is None
        results.append(memory.inputs[2].tobytes())
    assert len(set(results)) == 1
    np.testing.assert_allclose(memory.inputs[2], expected(memory), rtol=1e-4, atol=1e-4)


def test_scratch_for_many_workers_and_for_more_than_that(engine, monkeypatch):
    program = make_program()
    assert engine.scratch_elements(program, 4) >= LEAST_WORKERS * SCRATCH_ELEMENTS
    assert engine.scratch_elements(Program("predict", "float32", program.rows[:2], program.inputs, program.weights), 4) == 0
    memory = make_memory(engine, program)
    restart(memory)
    bound = engine.bind(program, memory, 4)
    assert bound.most_workers == memory.scratch_elements // SCRATCH_ELEMENTS
    assert engine.run(bound, 2, workers=bound.most_workers + 3) is None
    np.testing.assert_allclose(memory.inputs[2][:8], expected(memory)[:8], rtol=1e-5, atol=1e-6)
    monkeypatch.setattr(config, "num_threads", lambda: 20)
    assert engine.scratch_elements(program, 4) == 20 * SCRATCH_ELEMENTS


def test_a_run_begins_at_the_row_asked_for(engine):
    program = make_program()
    memory = make_memory(engine, program)
    control = restart(memory)
    bound = engine.bind(program, memory, 4)
    assert engine.run(bound, 1) is None
    memory.inputs[2][:] = 0
    assert engine.run(bound, 1, first_row=1) is None
    np.testing.assert_allclose(memory.inputs[2][:4], expected(memory)[:4], rtol=1e-5, atol=1e-6)
    assert engine.run(bound, 1, first_row=len(program.rows)) is None
    assert control[STEP] == 0
    assert engine.run(bound, 2, first_row=len(program.rows)) is None
    assert control[STEP] == 1


def stopping_program():
    """Adds a scale of 1 to a total in float64 at every step; the sample value 0 is infinite here."""
    value, total = Operand("activations", 0, (BATCH,), "f"), Operand("totals", 0, (2,), "f8")
    taken, data = Operand("activations", 0, (BATCH, 8), "u1"), Operand("inputs", 0, (SAMPLES, 8), "u1")
    scale = Operand("params", 0, (1,), "f")
    rows = (
        Row("next_batch", (CONTROL,), (BATCH,), barrier=True),
        Row("take_rows", (data, None, CONTROL, taken), barrier=True),
        Row("accumulate_loss", (value, None, scale, total, CONTROL), (BATCH,), barrier=True),
        Row("accumulate_mean", (value, None, Operand("totals", 16, (2,), "f8"))),
    )
    inputs, weights = (InputSlot("x", (), "f"),), (WeightSlot("scale", (1,)),)
    sizes = {"control": 64, "totals": 64, "activations": 8}
    return Program("train", "float64", rows, inputs, weights, ("loss", "mean"), bytes=sizes)


@pytest.mark.parametrize("make_engine", [CpuEngine, ReferenceEngine])
@pytest.mark.parametrize("workers", [1, 2, 3, 7])
def test_a_loss_that_is_not_finite_stops_the_run_and_it_resumes(make_engine, workers):
    engine, program = make_engine(), stopping_program()
    program.verify()
    memory = Memory(program, 2, [np.ones(1)])
    memory.inputs[0] = np.array([1.0, 2, 3, np.nan, 5, 6, 7, 8])
    control, totals = restart(memory), memory.segments["totals"].view(np.float64)
    bound = engine.bind(program, memory, 2)
    assert engine.run(bound, 4, workers=workers) == (1, 2)
    assert (control[STEP], control[STATUS]) == (1, 1)
    assert totals[2] == 3.0  # the row after the stop has not run
    control[STATUS], totals[:] = 0, 0
    assert engine.run(bound, 3, first_row=3, workers=workers) is None
    assert control[STEP] == 3
    np.testing.assert_array_equal(totals[:4], [2 * (5 + 6 + 7 + 8), 4, np.nan, 6])


def test_flags_stand_in_the_table(engine):
    memory = Memory(stopping_program(), 2, [np.ones(1)])
    bound = engine.bind(stopping_program(), memory, 2)
    np.testing.assert_array_equal(bound.table[:, ROW_FLAGS], [1, 1, 3, 0])
    assert bound.status == memory.segments["control"].ctypes.data + 8 * STATUS


def test_workers_follow_the_work(engine):
    small, large = make_program(), make_program(features=512, units=512)
    assert engine.bind(small, make_memory(engine, small), 4).workers == 1
    assert engine.bind(large, make_memory(engine, large, batch=256), 256).workers > 1


def test_a_short_run_wakes_nobody(engine, monkeypatch):
    program, found = make_program(features=128, units=128), []
    bound = engine.bind(program, make_memory(engine, program, batch=128), 128)
    monkeypatch.setattr(
        "fastnn.engine.cpu.team.run", lambda table, rows, steps, workers, **_: found.append(workers) or steps * rows
    )
    monkeypatch.setattr(config, "num_threads", lambda: 2)
    assert 1 < bound.steps_alone < 50
    for steps in (1, 50):
        engine.run(bound, steps)
    engine.run(bound, 1, workers=2)
    assert found == [1, 2, 2]


def test_workers_follow_the_setting_of_the_moment(engine, monkeypatch):
    program = make_program(features=512, units=512)
    bound, found = engine.bind(program, make_memory(engine, program, batch=256), 256), []
    monkeypatch.setattr(
        "fastnn.engine.cpu.team.run", lambda table, rows, steps, workers, **_: found.append(workers) or steps * rows
    )
    for threads in (1, 3, 2):
        monkeypatch.setattr(config, "num_threads", lambda threads=threads: threads)
        engine.run(bound, 1)
    engine.run(bound, 1, workers=5)
    assert found == [1, 3, 2, 5]


def test_compilation_is_told(engine, monkeypatch):
    asked = []
    monkeypatch.setattr("fastnn.engine.cpu.objects.load", lambda units, progress: asked.append((units, progress)))
    engine.prepare([make_program()], progress=print)
    units = ["interpreter", "next_batch", "take_rows", "matmul-float32", "relu-float32", "put_rows"]
    assert asked == [(units, print)]
