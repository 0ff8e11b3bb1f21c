"""The harness: the table, the worker's protocol, the runner, the command line."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastnn_kernels.instructions import INSTRUCTIONS

from benchmarks import __main__ as command
from benchmarks import alone, memory, numpy_kernels, processes, quality, runner, worker
from benchmarks.peers import Peer, absent, all_peers
from benchmarks.processes import Worker
from benchmarks.results import load
from benchmarks.settings import Settings
from benchmarks.workloads import WORKLOADS, find, select
from fastnn.bench import kernel_data
from fastnn.bench.specs import CostSpec, KernelSpec, QualitySpec, SweepSpec, make_data
from fastnn.bench.timing import Task

FEW = Settings(seconds=0.0, short_seconds=0.0, least=2, most=2)
TINY = "W1-blobs"


def fake(**functions: Any) -> Peer:
    return Peer("fake", "fake", "import sys", lambda: None, **functions)


def ask(peer: Peer, *requests: dict[str, Any]) -> list[dict[str, Any]]:
    answers = io.StringIO()
    worker.serve(peer, 1, io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def prepare(workload: str) -> dict[str, Any]:
    return {"do": "prepare", "workload": workload, "seed": 0}


class TestTable:
    def test_keys_are_unique(self) -> None:
        assert len({row.key for row in WORKLOADS}) == len(WORKLOADS)

    def test_peers_named_there_exist(self) -> None:
        assert {name for row in WORKLOADS for name in row.peers or ()} <= set(all_peers())

    @pytest.mark.parametrize(
        ("names", "keys"),
        [
            ("W1-blobs", ["W1-blobs"]),
            ("W1", ["W1-blobs", "W1-blobs-100", "W1-blobs-200"]),
            ("W4,W2", ["W2-auto-mpg", "W4-iris"]),
            ("iris", ["W4-iris"]),
            ("W6-blobs-1-", ["W6-blobs-1-predict", "W6-blobs-1-call", "W6-blobs-1-prepared"]),
        ],
    )
    def test_select(self, names: str, keys: list[str]) -> None:
        assert [row.key for row in select(names)] == keys

    def test_select_all(self) -> None:
        assert select(None) == WORKLOADS

    def test_on_a_gpu_every_peer_runs_w1_to_w7(self) -> None:
        rows = select(None, "cuda")
        assert {row.id for row in rows} == {f"W{number}" for number in range(1, 8)}
        assert all(row.peers is None and find(row.key).spec == row.spec for row in rows)
        assert [row.spec.shape for row in rows if row.name.startswith("multiply_add")] == [(100_000_000_000,)]  # type: ignore[union-attr]
        assert "W7-matmul-8192x8192x8192-NN" in {row.key for row in rows} - {row.key for row in WORKLOADS}

    @pytest.mark.parametrize("names", ["W99", "", "W1,"])
    def test_select_nothing(self, names: str) -> None:
        with pytest.raises(ValueError, match="no workload is called"):
            select(names)


class TestWorker:
    def test_prepare_and_time(self) -> None:
        calls: list[str] = []

        def train(spec: Any, data: Any, threads: int) -> Task:
            calls.append(f"{len(data['x'])} samples, {threads} thread")
            return Task(lambda: calls.append("run") or 0.25, lambda: calls.append("reset"))  # type: ignore[func-returns-value]

        prepared, timed, released, late = ask(
            fake(train=train), prepare(TINY), {"do": "time", "samples": 2}, {"do": "release"}, {"do": "time", "samples": 1}
        )
        assert calls == ["5000 samples, 1 thread", *["reset", "run"] * 3]
        assert {name: prepared[name] for name in ("status", "calls", "units", "result")} == {
            "status": "ok",
            "calls": 1,
            "units": 1,
            "result": [0.25],
        }
        assert prepared["memory"] > 0
        assert [len(timed["wall"]), len(timed["cpu"])] == [2, 2]
        assert released == {"status": "ok"}
        assert late["why"].startswith("RuntimeError: there is no task")

    def test_what_a_library_lacks(self) -> None:
        assert [answer["status"] for answer in ask(fake(kernel=lambda *_: None), prepare(TINY), prepare("W7-adam-10000000"))] == [
            "gap",
            "gap",
        ]

    def test_what_fails_does_not_end_it(self, capfd: pytest.CaptureFixture[str]) -> None:
        def train(*_: Any) -> Task:
            raise MemoryError("too much\nof it")

        failed, released = ask(fake(train=train), prepare(TINY), {"do": "release"})
        assert failed == {"status": "failed", "why": "MemoryError: too much"}
        assert released == {"status": "ok"}

    def test_units_of_a_sweep(self) -> None:
        row = find("W9-sweep")
        assert isinstance(row.spec, SweepSpec)
        small = SweepSpec(row.spec.model, models=2)
        rows = worker.task_of(fake(sweep=lambda *_: Task(lambda: 0)), type(row)("W9", "s", "", small), 0, 1)
        assert rows[1] == 2
        one_by_one = worker.task_of(fake(train=lambda *_: Task(lambda: 0)), type(row)("W9", "s", "", small), 0, 1)
        assert one_by_one[1] == 1

    def test_compared_numbers(self) -> None:
        assert worker.compared(None) is None
        assert worker.compared(0.5) == [0.5]
        assert worker.compared(np.arange(640.0).reshape(64, 10)) == [float(value) for value in range(0, 640, 10)]

    def test_single_processes(self) -> None:
        def train(*_: Any) -> Task:
            return Task(lambda: 0.75, lambda: None)

        request = {"do": "once", "seed": 0}
        fit, wrong = ask(fake(train=train), {**request, "workload": "W8-first-fit-warm"}, {**request, "workload": "W1-blobs"})
        assert fit == {"status": "ok", "result": [0.75]}
        assert "does not take a process" in wrong["why"]


@pytest.mark.parametrize("op", [*sorted(numpy_kernels.KERNELS.keys() & INSTRUCTIONS.keys() - {"shuffle", "dropout"}), "matmul"])
def test_fastnn_s_kernels_are_numpy_s(op: str) -> None:
    shape = (5, 6, 7) if op == "matmul" else tuple(range(8, 3, -1))[: len(INSTRUCTIONS[op].dimensions)]
    spec = KernelSpec(op, (6, 6, 6) if op in ("take_rows", "put_rows") else shape)
    found = []
    for name in ("fastnn", "numpy"):
        make = all_peers()[name].kernel
        assert make is not None
        data = make_data(spec, 0)
        task = make(spec, data, 2)
        assert task is not None
        task.run()
        found.append(data[kernel_data.result_name(op)])
        if "loss" in data:
            found[-1] = np.append(found[-1], data["loss"])
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "known"), [("fastnn", ["row", "call"]), ("numba one thread", ["call"]), ("numba parallel", [])])
def test_costs_on_one_thread(name: str, known: list[str]) -> None:
    make = all_peers()[name].cost
    assert make is not None
    tasks = {row.spec.what: make(row.spec, {}, 1) for row in WORKLOADS if isinstance(row.spec, CostSpec)}
    assert [what for what, task in tasks.items() if task is not None] == known


def test_costs_on_two_threads() -> None:
    make = all_peers()["fastnn"].cost
    assert make is not None
    for row in (row for row in WORKLOADS if isinstance(row.spec, CostSpec)):
        assert isinstance(row.spec, CostSpec)
        task = make(row.spec, {}, 2)
        assert task is not None
        assert (task.many is not None) == (row.spec.what in ("row", "meeting"))
        task.run()


def test_every_instruction_has_a_row() -> None:
    assert INSTRUCTIONS.keys() <= {row.spec.op for row in WORKLOADS if isinstance(row.spec, KernelSpec)}


class TestRunner:
    @pytest.fixture
    def peers(self) -> list[Peer]:
        known = all_peers()
        absentee = Peer("absentee", "absentee", "", absent("no_such_package_anywhere"))
        return [known["fastnn"], known["numpy"], absentee]

    def test_a_run(self, peers: list[Peer], tmp_path: Path) -> None:
        lines: list[str] = []
        results = runner.run(select(f"{TINY},W8-import"), peers, [1], FEW, lines.append)
        found = results.of(TINY, 1)
        assert {name: (m.status, len(m.wall), m.agrees) for name, m in found.items()} == {
            "fastnn": ("ok", 2, True),
            "numpy": ("ok", 2, True),
            "absentee": ("missing", 0, None),
        }
        assert found["absentee"].why == "no_such_package_anywhere is not installed"
        assert {name: m.status for name, m in results.of("W8-import", 1).items()} == {
            "fastnn": "ok",
            "numpy": "ok",
            "absentee": "missing",
        }
        assert len(lines) == 3
        assert lines[0].startswith("2 rows, 2 peers: about ")
        assert TINY in lines[1]
        assert all(m.spent > sum(m.wall) for m in results.measurements if m.status == "ok")
        results.save(tmp_path / "a.json")
        assert load(tmp_path / "a.json") == results

    def test_ctrl_c_keeps_what_was_measured(self, peers: list[Peer]) -> None:
        lines: list[str] = []

        def say(line: str) -> None:
            lines.append(line)
            if TINY in line:
                raise KeyboardInterrupt

        results = runner.run(select(f"{TINY},W8-import"), peers, [1], FEW, say)
        assert [row.key for row in results.workloads] == [TINY]
        assert lines[-1] == "stopped; the rows so far are kept"

    def test_a_worker_that_ends_is_a_failure(self) -> None:
        lost = Worker(fake(), 1)  # the child knows no peer of this name
        try:
            answer = lost.ask(do="prepare", workload=TINY, seed=0)
        finally:
            lost.stop()
        assert answer["status"] == "failed"
        assert "KeyError: 'fake'" in answer["why"]

    def test_a_worker_that_takes_too_long_is_a_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(processes, "MOST_SECONDS", 0.01)
        slow = Worker(all_peers()["numpy"], 1)
        try:
            answer = slow.ask(do="prepare", workload=TINY, seed=0)
        finally:
            slow.stop()
        assert answer == {"status": "failed", "why": "no answer within 0.01 s"}

    def test_variables(self) -> None:
        variables = processes.environment(fake(environment={"KERAS_BACKEND": "jax"}), 3)
        assert variables["OMP_NUM_THREADS"] == variables["NUMBA_NUM_THREADS"] == "3"
        assert variables["KERAS_BACKEND"] == "jax"

    def test_one_import_a_library(self) -> None:
        twins = [fake(), Peer("twin", "fake", "import sys", lambda: None)]
        found = alone.run(find("W8-import"), twins, 1, FEW)
        assert [(m.status, m.why) for m in found] == [("ok", ""), ("gap", "the same import as fake")]

    @pytest.mark.parametrize(("seconds", "samples"), [(10.0, 1), (3.0, 2), (1.0, 3), (0.3, 5), (0.1, 11)])
    def test_samples(self, seconds: float, samples: int) -> None:
        assert Settings().samples(find("W1-blobs"), seconds) == samples

    def test_samples_of_a_row_that_limits_them(self) -> None:
        assert Settings().samples(find("W9-sweep"), 0.1) == 1


class TestCommand:
    @pytest.mark.parametrize(("text", "counts"), [("1", [1]), ("all", [4]), ("1,all", [1, 4]), ("2,2", [2])])
    def test_threads(self, monkeypatch: pytest.MonkeyPatch, text: str, counts: list[int]) -> None:
        monkeypatch.setattr(command, "usable_cores", lambda: 4)
        assert command.parse_threads(text) == counts

    @pytest.mark.parametrize("text", ["0", "5", "many", "1,"])
    def test_threads_that_are_not_there(self, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
        monkeypatch.setattr(command, "usable_cores", lambda: 4)
        with pytest.raises(ValueError, match="is not a number from 1 to 4"):
            command.parse_threads(text)

    def test_peers(self) -> None:
        assert [peer.name for peer in command.select_peers("numpy")] == ["fastnn", "numpy"]
        assert [peer.name for peer in command.select_peers("numba")] == ["fastnn", "numba parallel", "numba one thread"]
        with pytest.raises(ValueError, match="there is no 'caffe'"):
            command.select_peers("caffe")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--device", "cuda"], "--device cuda: no GPU can be used: there is none here"),
            (["--device", "tpu"], "invalid choice: 'tpu'"),
            (["--data", "nowhere"], "there is no mnist.npz"),
            (["--workloads", "W99"], "no workload is called 'W99'"),
        ],
    )
    def test_refusals(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
    ) -> None:
        monkeypatch.setattr(command.gpu, "why_not", lambda: "there is none here")
        with pytest.raises(SystemExit):
            command.main(arguments)
        assert message in capsys.readouterr().err

    def test_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert command.main(["--list", "--workloads", "W4", "--peers", "numpy"]) == 0
        text = capsys.readouterr().out
        assert "W4-iris" in text
        assert "numpy" in text

    def test_run_and_render(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(command, "QUICK", FEW)
        output = tmp_path / "run"
        arguments = ["--quick", "--threads", "1", "--workloads", TINY, "--peers", "numpy", "--output", str(output)]
        assert command.main(arguments) == 0
        assert "numpy" in output.with_suffix(".md").read_text()
        assert load(output.with_suffix(".json")).find(TINY, 1, "fastnn") is not None
        output.with_suffix(".md").unlink()
        assert command.main(["--render", str(output.with_suffix(".json"))]) == 0
        assert output.with_suffix(".md").exists()


class TestQuality:
    def test_tables_are_standardized(self) -> None:
        for kind in ("smooth", "steps"):
            (x, y), (x_test, y_test) = quality.table(kind, 1000)
            assert [part.shape for part in (x, y, x_test, y_test)] == [(800, 10), (800, 1), (200, 10), (200, 1)]
            assert np.concatenate([y, y_test]).std() == pytest.approx(1, rel=1e-5)

    def test_own_images(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        part = {"x_train": np.full((3, 28, 28), 255, np.uint8), "y_train": np.arange(3)}
        np.savez(tmp_path / "mnist.npz", x_test=part["x_train"], y_test=part["y_train"], **part)
        monkeypatch.setenv(quality.DATA_VARIABLE, str(tmp_path))
        (x, _), _ = quality.images()
        assert (quality.data_name(QualitySpec("images")), x.shape, x.max()) == ("MNIST", (3, 784), 1.0)

    def test_digits_without_own_images(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(quality.DATA_VARIABLE, raising=False)
        assert quality.data_name(QualitySpec("images")) == "digits"
        assert quality.images()[0][0].shape == (1442, 64)

    def test_a_curve_ends_at_its_target(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv(quality.DATA_VARIABLE, raising=False)
        curve = quality.by_fastnn(QualitySpec("images", 0.9), 1)
        assert curve[-1][1] >= 0.9
        assert all(score < 0.9 for _, score in curve[:-1])


def test_memory_of_this_process() -> None:
    memory.reset_peak()
    before = memory.peak()
    block = np.ones(4_000_000)
    assert memory.peak() - before > block.nbytes / 2
    assert memory.resident() <= memory.peak()


def test_cores() -> None:
    cores = processes.cores_of(1)
    assert len(cores) == (1 if hasattr(os, "sched_getaffinity") else 0)
