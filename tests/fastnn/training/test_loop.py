"""How long one engine call lasts."""

import pytest

from fastnn.training import loop
from fastnn.training.data import Samples
from fastnn.training.loop import Loop


class Clock:
    """A session whose batches of 10 samples take 10 ms and whose shorter ones nothing, and the clock it moves."""

    batch = 10

    def __init__(self, seconds=0.01):
        self.now, self.seconds, self.calls = 0.0, seconds, []
        self.step, self.samples, self.stopped = 0, 0, None

    def perf_counter(self):
        return self.now

    @property
    def steps(self):
        return -(-self.samples // self.batch)

    def set_inputs(self, **arrays):
        self.arrays = arrays

    def start(self, samples):
        self.samples, self.step = samples, 0

    def clear_totals(self):
        self.calls.append("totals")

    def run(self, steps):
        self.calls.append(steps)
        self.now += self.seconds * (min(self.step + steps, self.samples // self.batch) - self.step)
        self.step += steps
        return steps


@pytest.fixture
def session(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


def test_calls_last_50_ms_after_the_first_step_has_been_timed(session):
    run = Loop(session, Samples(123))
    run.epoch()
    assert session.calls == [1, 5, 5, 2]
    run.epoch()
    assert session.calls[4:] == [5, 5, 3]


def test_a_short_batch_alone_does_not_make_the_next_call_longer(session):
    run = Loop(session, Samples(63))
    run.epoch()
    run.epoch()
    assert session.calls == [1, 5, 1, 5, 2]


def test_steps_longer_than_50_ms_run_one_by_one(session):
    session.seconds = 3.0
    Loop(session, Samples(40)).epoch()
    assert session.calls == [1, 1, 1, 1]


def test_ticks_come_between_calls_and_an_end_stops(session):
    ticks, ended = [], []
    run = Loop(session, Samples(123))
    run.epoch(tick=ticks.append)
    assert ticks == [1, 6, 11, 13]
    run.epoch(begin=lambda step: None, end=lambda step: ended.append(step) or step == 2)
    assert ended == [0, 1, 2]


def test_epochs_that_resume_go_through_the_samples_in_order(session):
    run = Loop(session, Samples(70), steps=3, resumes=True)
    places = []
    for _ in range(2):
        run.epoch(begin=lambda step: places.append(session.step), end=lambda step: False)
    with pytest.warns(UserWarning, match="1 steps instead of 3: 70 samples make 7 batches of 10"):
        run.epoch(begin=lambda step: places.append(session.step), end=lambda step: False)
    run.epoch(begin=lambda step: places.append(session.step), end=lambda step: False)
    assert places == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
    assert session.calls.count("totals") == 2  # the epochs that went on in a pass; `start` clears them itself
