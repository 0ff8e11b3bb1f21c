"""Sessions: whole batches, the last short one, stops and resumes; on every engine."""

import numpy as np
import pytest
from fastnn_kernels.instructions import NO_CLASS, REDUCTION_MEAN

from fastnn.engine import cuda
from fastnn.engine.select import get
from fastnn.engine.session import Session
from fastnn.lowering import operations
from fastnn.lowering.builder import CONTROL, RATES_OPERAND, Builder
from fastnn.lowering.heads import row_loss
from fastnn.memory import Buffer
from fastnn.program import BATCH, SAMPLES, Operand
from fastnn.random import Draws
from fastnn.variables import Variable, place_in_arena
from tests.fastnn.engine.reference_gpu import gpu

SAMPLES_COUNT, FEATURES = 10, 3


def linear_regression(kind: str):
    """A program for ``y = x @ kernel`` with mean squared error and plain SGD, and its one weight."""
    kernel = Variable(np.zeros((FEATURES, 1)), dtype="float64")
    place_in_arena([kernel])
    b = Builder(kind, "float64", [kernel])
    b.emit("next_batch", early=True, control=CONTROL, batch=BATCH)
    out = operations.dense(b, b.input("x", (FEATURES,)), kernel)
    if kind == "predict":
        b.output("out", out)
        return b.finish(), kernel
    scale = b.scalar()
    b.emit("loss_scale", scale=scale, rows=BATCH, reduction=REDUCTION_MEAN, factor=1.0, ignore_class=NO_CLASS)
    values = row_loss(b, "mean_squared_error", out, b.input("y", (1,)), None, scale, gradient=True)
    b.emit("accumulate_loss", value=values.vector, scale=scale, total=b.total("loss"), control=CONTROL, rows=BATCH)
    b.backward()
    rate = b.slot("learning_rate", (), "f8", (SAMPLES,), "f8")
    b.emit("next_update", learning_rate=rate, control=CONTROL, rates=RATES_OPERAND, beta_1=0.0, beta_2=0.0)
    (run,) = b.layout.runs
    grads, params = Operand("grads", run.offset, (run.size,), "f"), Operand("params", 0, (run.size,), "f")
    b.emit("sgd", grads=grads, rates=RATES_OPERAND, params=params, momentum=0.0, nesterov=0)
    return b.finish(), kernel


def data() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=(SAMPLES_COUNT, FEATURES))
    return x, x @ np.array([[1.0], [-2.0], [0.5]]) + 0.1


def by_hand(batches: list[np.ndarray], x: np.ndarray, y: np.ndarray, rate: float) -> tuple[np.ndarray, float]:
    """SGD over ``batches`` of row numbers in NumPy: the weight, and the sum over batches of loss times rows."""
    w, total = np.zeros((FEATURES, 1)), 0.0
    for rows in batches:
        error = x[rows] @ w - y[rows]
        total += float((error**2).mean()) * len(rows)
        w -= rate * 2 * x[rows].T @ error / len(rows)
    return w, total


@pytest.fixture(params=["reference", "cpu", "cuda", "cuda, one block"])
def engine(request, poisoned_host, monkeypatch):
    monkeypatch.setattr(cuda, "one_block_pays", lambda *_: "one block" in request.param)
    engine = cuda.CudaEngine(gpu) if request.param.startswith("cuda") else get(request.param)
    engine.prepare([linear_regression("train")[0], linear_regression("predict")[0]])
    return engine


@pytest.mark.parametrize("shuffled", [False, True])
@pytest.mark.parametrize("batch", [1, 4, 5, 10, 64])
def test_an_epoch_equals_the_loop_written_out(engine, batch, shuffled):
    program, kernel = linear_regression("train")
    x, y = data()
    order = np.random.default_rng(1).permutation(SAMPLES_COUNT) if shuffled else np.arange(SAMPLES_COUNT)
    session = Session(engine, program, [kernel], batch)
    session.set_inputs(x=x, y=y, index=order if shuffled else None, learning_rate=np.full(SAMPLES_COUNT, 0.05))
    session.start(SAMPLES_COUNT)
    assert session.run() == session.steps == -(-SAMPLES_COUNT // batch)
    w, total = by_hand([order[start : start + batch] for start in range(0, SAMPLES_COUNT, batch)], x, y, 0.05)
    np.testing.assert_allclose(kernel.array, w, rtol=1e-12)
    np.testing.assert_allclose(session.totals()["loss"], (total, SAMPLES_COUNT), rtol=1e-12)
    assert session.iterations == session.steps


def test_running_in_pieces_changes_no_bit(engine):
    results = []
    for pieces in ([None], [1, 1, 1, None], [2, None], [1, 5]):
        program, kernel = linear_regression("train")
        x, y = data()
        session = Session(engine, program, [kernel], 3)
        session.set_inputs(x=x, y=y, learning_rate=np.full(4, 0.05))
        session.start(SAMPLES_COUNT)
        for steps in pieces:
            session.run(steps)
        assert session.step == 4
        results.append(kernel.array.tobytes())
    assert len(set(results)) == 1


@pytest.mark.parametrize("bad", [1, 7, 9])
def test_a_loss_that_is_not_finite_stops_before_the_update_and_resumes_after_it(engine, bad):
    program, kernel = linear_regression("train")
    x, y = data()
    y[bad] = np.inf
    session = Session(engine, program, [kernel], 4)
    session.set_inputs(x=x, y=y, learning_rate=np.full(3, 0.05))
    session.start(SAMPLES_COUNT)
    session.run()
    assert session.stopped == bad // 4
    assert np.isfinite(kernel.array).all()
    while session.stopped is not None:
        session.run()
    assert session.step == 3
    assert not np.isfinite(kernel.array).all()
    assert session.iterations == 3


def test_predict_follows_the_callers_arrays_from_call_to_call(engine):
    program, kernel = linear_regression("predict")
    kernel.assign([[1.0], [2.0], [3.0]])
    session = Session(engine, program, [kernel], 4)
    for count in (10, 3, 4):
        x, out = np.random.default_rng(count).normal(size=(count, FEATURES)), np.full((count, 1), np.nan)
        session.set_inputs(x=x, out=out)
        session.start(count)
        session.run()
        np.testing.assert_allclose(out, x @ kernel.array, rtol=1e-12)


def test_an_input_that_was_not_given_is_named(engine):
    program, kernel = linear_regression("predict")
    session = Session(engine, program, [kernel], 4)
    session.set_inputs(out=np.empty((4, 1)))
    session.start(4)
    with pytest.raises(ValueError, match="the predict program needs the input 'x'"):
        session.run()


def test_a_shared_segment_that_is_too_small_is_refused(engine):
    program, kernel = linear_regression("train")
    with pytest.raises(ValueError, match="segment 'grads' has 8 bytes, the program needs 64"):
        Session(engine, program, [kernel], 4, shared={"grads": Buffer(8)})


def dropping():
    """A program that drops the same values of ``x`` twice, before and after the loss of ``y`` may stop it."""
    b = Builder("call", "float64", [])
    b.emit("next_batch", early=True, control=CONTROL, batch=BATCH)
    x, y, scale = b.input("x", (20,)), b.input("y", (1,)), b.scalar()
    b.output("first", operations.dropout(b, x, 0.5, seed=3))
    (row,) = (row for row in b._rows if row.op == "dropout")
    b.emit("loss_scale", scale=scale, rows=BATCH, reduction=REDUCTION_MEAN, factor=1.0, ignore_class=NO_CLASS)
    b.emit("accumulate_loss", value=y.vector, scale=scale, total=b.total("loss"), control=CONTROL, rows=BATCH)
    again = b.tensor((20,))
    attributes = dict(zip([name for name, _ in row.instruction.attributes], row.attributes, strict=True))
    b.emit("dropout", x=x.vector, control=CONTROL, out=again.vector, **attributes)
    b.output("again", again)
    return b.finish()


def dropped(engine, pieces, bad=None, draws=None, epochs=1, samples=10):
    """What two rows of dropout make of ones, (epochs * samples, 20) each, and the draws made."""
    draws = draws or Draws(3)
    session, found = Session(engine, dropping(), [], 3, draws=[draws]), []
    x, y = np.ones((samples, 20)), np.zeros((samples, 1))
    y[[] if bad is None else bad] = np.nan
    for _ in range(epochs):
        first, again = np.full((2, samples, 20), np.nan)
        session.set_inputs(x=x, y=y, first=first, again=again)
        session.start(samples)
        for steps in pieces:
            session.run(steps)
        while session.step < session.steps:
            session.run()
        found.append((first, again))
    first, again = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    np.testing.assert_array_equal(first, again)
    return first, draws.made


@pytest.mark.parametrize("bad", [None, 0, 4, 9])
@pytest.mark.parametrize("pieces", [[], [1, 1, 1], [2], [1, 3]])
def test_every_step_draws_its_own_whether_it_is_stopped_or_runs_in_pieces(engine, pieces, bad):
    wanted, _ = dropped(engine, [])
    found, made = dropped(engine, pieces, bad)
    np.testing.assert_array_equal(found, wanted)
    assert made == 4
    assert len(np.unique(wanted, axis=0)) == 10


def test_the_next_pass_draws_on(engine):
    draws = Draws(3)
    passes = np.concatenate([dropped(engine, [], draws=draws)[0] for _ in range(2)])
    in_one_session, made = dropped(engine, [], epochs=2)
    np.testing.assert_array_equal(passes, in_one_session)
    assert made == draws.made == 8
    assert len(np.unique(passes, axis=0)) == 20
