"""How long a run will take."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.estimate import UNKNOWN, Estimate, estimate, guess, known, seconds
from benchmarks.peers import Peer
from benchmarks.results import Measurement, Results
from benchmarks.settings import Settings
from benchmarks.workloads import find

ROW = find("W1-blobs")
A, B = (Peer(name, name, "", lambda: None, train=lambda *_: None) for name in "ab")
SETTINGS = Settings(seconds=2.0, least=3, most=15, limit=8.0)


def measured(*wall: float, spent: float = 0.0, warm_up: float = 0.0, workload: str = ROW.key) -> Measurement:
    return Measurement(workload, "a", 1, "ok", wall=list(wall), warm_up=warm_up, spent=spent)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        (measured(1.0, 1.0, 1.0, spent=5.0), 2.0 + 3 * 1.0),
        (measured(1.0, spent=5.0), 4.0 + 3 * 1.0),  # more samples than then
        (measured(10.0, 10.0, warm_up=4.0), 4.0 + 10.0),  # of a file that does not tell; slow, so one sample
        (Measurement(ROW.key, "a", 1, "gap"), 0.1),
        (Measurement(ROW.key, "a", 1, "failed", spent=3.0), 3.0),
    ],
)
def test_from_an_earlier_run(before: Measurement, expected: float) -> None:
    assert seconds(ROW, A, 1, SETTINGS, {(ROW.key, "a", True): before}) == pytest.approx(expected)


def test_processes() -> None:
    row = find("W8-import")
    before = measured(1.0, 1.0, 1.0, spent=4.5, workload=row.key)
    assert seconds(row, A, 2, Settings(processes=2), {(row.key, "a", False): before}) == pytest.approx(1.5 + 2)


def test_without_one() -> None:
    assert estimate([(ROW, 1, [A, B])], SETTINGS, {}).rows == [2 * guess(ROW, SETTINGS)]
    assert guess(find("W5-wide"), SETTINGS) > 2 * guess(ROW, SETTINGS) > 2 * UNKNOWN["train"]
    assert seconds(find("W7-relu-16000000"), A, 1, SETTINGS, {}) == 0  # which it has no call for


def test_time_left_follows_the_run() -> None:
    rows = Estimate([10.0, 20.0, 70.0])
    assert rows.left() == 100
    rows.spent.append(20.0)
    assert rows.left() == 180


def test_known(tmp_path: Path) -> None:
    peers = {"a": {"group": "a", "version": "", "note": ""}}
    for date, found in (("2026-01-01", measured(1.0)), ("2026-01-02", measured(2.0))):
        Results(date, {}, {}, peers, [found, Measurement(ROW.key, "b", 1, "missing")]).save(tmp_path / f"{date}.json")
    (tmp_path / "other.json").write_text("[]")
    Results("2026-01-03", {}, {"device": "cuda"}, peers, [measured(0.5)]).save(tmp_path / "2026-01-03.json")
    assert known(tmp_path) == {(ROW.key, "a", True): measured(2.0)}
    assert known(tmp_path, "cuda") == {(ROW.key, "a", True): measured(0.5)}
