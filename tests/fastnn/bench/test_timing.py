"""The timing core: what is called how often, and the statistics; never how long it takes."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from fastnn.bench import timing
from fastnn.bench.timing import Sample, Task, calls_per_sample, duration, once, process, summarize, take_turns


def test_once_resets_then_calls() -> None:
    seen: list[str] = []
    sample = once(Task(lambda: seen.append("run"), lambda: seen.append("reset")), 3)
    assert seen == ["reset", "run", "run", "run"]
    assert isinstance(sample, Sample)


def test_once_prefers_the_library_s_own_loop() -> None:
    seen: list[int] = []
    once(Task(lambda: seen.append(-1), many=seen.append), 5)
    assert seen == [5]


def test_seconds_are_of_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 4_000_000_000])
    monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: next(ticks))
    assert once(Task(lambda: None), 4).wall == 1.0


def test_part_of_the_time_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 4_000_000_000])
    monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: next(ticks))
    assert once(Task(lambda: None, counted=lambda: 0.75)).wall == 3.0


def test_calls_of_a_task_with_a_reset() -> None:
    assert calls_per_sample(Task(lambda: None, lambda: None)) == 1


@pytest.mark.parametrize("seconds", [1e-6, 1e-3, 1.0])
def test_calls_fill_a_sample(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(timing, "once", lambda task, calls=1: Sample(seconds, seconds))
    calls = calls_per_sample(Task(lambda: None))
    assert calls == max(1, round(timing.LEAST_SECONDS / seconds))


def test_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    tasks = {name: Task(lambda name=name: seen.append(name), lambda: None) for name in "ab"}  # type: ignore[misc]
    found = take_turns(tasks, 3)
    assert seen == list("ababab")
    assert {name: len(samples) for name, samples in found.items()} == {"a": 3, "b": 3}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 20])
def test_summary_is_numpy_s(count: int) -> None:
    values = np.random.default_rng(count).random(count)
    found = summarize(list(values))
    quantiles = (0, 0.5, 1) if count < 4 else (0.25, 0.5, 0.75)
    np.testing.assert_allclose((found.low, found.median, found.high), np.quantile(values, quantiles))
    assert found.count == count


def test_spread() -> None:
    assert summarize([1.0, 2.0, 3.0, 4.0, 10.0]).spread == pytest.approx(1 / 3)
    assert summarize([0.0]).spread == 0


def test_nothing_to_summarize() -> None:
    with pytest.raises(ValueError, match="values is empty"):
        summarize([])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(3e-7, "300 ns"), (9.996e-6, "10.0 us"), (1e-3, "1.00 ms"), (0.0999, "99.9 ms"), (0.09999, "100 ms"), (61.2, "61.2 s")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_process() -> None:
    sample, output = process([sys.executable, "-S", "-c", "print(input() * 2)"], {}, "ab\n")
    assert output == "abab\n"
    assert sample.wall > 0


def test_process_that_fails() -> None:
    with pytest.raises(RuntimeError, match="ValueError: no"):
        process([sys.executable, "-S", "-c", "raise ValueError('no')"], {})
