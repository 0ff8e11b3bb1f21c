"""Results: agreement, figures, ratios, files, tables, comparisons."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import compare, growth, tables
from benchmarks.results import Measurement, Results, compare_results, figure, limit_rates, load, ratio
from benchmarks.workloads import find
from fastnn.bench import with_fastnn
from fastnn.bench.specs import TrainSpec, make_data

MACHINE = {"name": "A machine", "cores": 2, "memory_gb": 8.0, "system": "S", "python": "3.11.0", "load": 0.1}


def measured(workload: str, peer: str, *wall: float, threads: int = 1, **more: Any) -> Measurement:
    return Measurement(workload, peer, threads, "ok", wall=list(wall), cpu=list(wall), **more)


def results(*measurements: Measurement) -> Results:
    peers = {m.peer: {"group": m.peer, "version": f"{m.peer} 1.0", "note": "a note"} for m in measurements}
    return Results("2026-11-21 00:00 UTC", MACHINE, {"threads": [1]}, peers, list(measurements))


def on_a_gpu(*measurements: Measurement) -> Results:
    machine = {**MACHINE, "gpu": "A GPU", "gpu_about": "A GPU, sm_90", "gpu_driver": "580.1"}
    return replace(results(*measurements), machine=machine, settings={"threads": [1], "device": "cuda"})


class TestAgreement:
    def judge(self, workload: str, own_order: tuple[str, ...] = (), **values: float) -> dict[str, bool | None]:
        found = [measured(workload, name, 1.0, result=[value]) for name, value in values.items()]
        return {m.peer: m.agrees for m in compare_results(found, own_order)}

    def test_equal_losses(self) -> None:
        assert self.judge("W1-blobs", a=0.5, b=0.501, c=0.5) == {"a": True, "b": True, "c": True}

    def test_another_loss(self) -> None:
        assert self.judge("W1-blobs", a=0.5, b=0.6, c=0.5) == {"a": True, "b": False, "c": True}

    def test_not_a_number(self) -> None:
        assert self.judge("W1-blobs", a=0.5, b=math.nan, c=0.5)["b"] is False

    def test_an_order_of_its_own(self) -> None:
        assert self.judge("W1-blobs", ("b",), a=0.5, b=0.55, c=0.5)["b"] is True
        assert self.judge("W1-blobs", ("b",), a=0.5, b=0.9, c=0.5)["b"] is False

    def test_arrays_are_compared_closely(self) -> None:
        assert self.judge("W7-adam-10000000", a=0.5, b=0.501, c=0.5)["b"] is False

    def test_alone_nobody_can_tell(self) -> None:
        assert self.judge("W1-blobs", a=0.5) == {"a": None}

    def test_gaps_stay_as_they_are(self) -> None:
        gap = Measurement("W1-blobs", "b", 1, "gap", "no such call")
        assert compare_results([measured("W1-blobs", "a", 1.0, result=[0.5]), gap], [])[1] == gap


@pytest.mark.parametrize(
    ("measurement", "text"),
    [
        (measured("W1-blobs", "a", 785e-6), "1.00 us/step"),
        (measured("W6-blobs-1-call", "a", 2e-6), "2.00 us/call"),
        (measured("W7-matmul-64x64x64-NN", "a", 2 * 64**3 / 1e11), "100.0 GFLOP/s"),
        (measured("W7-adam-10000000", "a", 0.028), "10.00 GB/s"),
        (measured("W7-softmax_cross_entropy-128x10", "a", 1.5e-6), "1.50 us"),
        (measured("costs-row", "a", 4.5e-9), "4.50 ns"),
        (measured("W8-import", "a", 0.25), "250 ms"),
        (measured("W9-sweep", "a", 2.0, units=256), "128.0 models/s"),
        (Measurement("W10-memory-wide", "a", 1, "ok", memory=1_500_000), "1.5 MB"),
        (Measurement("W11-images", "a", 1, "ok", "digits", curve=[[0.5, 0.9], [1.0, 0.98]]), "1.00 s (digits)"),
        (Measurement("W11-images", "a", 1, "ok", "MNIST", curve=[[0.5, 0.9]]), "not reached (MNIST)"),
        (Measurement("W11-steps", "a", 1, "ok", curve=[[0.5, 0.3], [1.0, 0.4]]), "RMS error 0.300"),
    ],
)
def test_figure(measurement: Measurement, text: str) -> None:
    assert figure(measurement) == text


def test_ratio() -> None:
    ours = measured("W1-blobs", "fastnn", 2.0)
    assert ratio(measured("W1-blobs", "a", 3.0, 5.0, 4.0), ours) == 2.0
    assert ratio(measured("W1-blobs", "a", 3.0), None) is None
    assert ratio(Measurement("W1-blobs", "a", 1, "missing"), ours) is None


def test_files(tmp_path: Path) -> None:
    before = results(measured("W1-blobs", "fastnn", 1.0, 2.0), Measurement("W1-blobs", "torch", 1, "missing", "not installed"))
    before.save(tmp_path / "deep" / "a.json")
    assert load(tmp_path / "deep" / "a.json") == before


@pytest.mark.parametrize(
    ("text", "message"), [("{", "not a file of benchmark results"), ("[]", "not a file"), ("{}", "not a file")]
)
def test_other_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "a.json")


def test_another_format(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        load(tmp_path / "a.json")


class TestTable:
    def test_rows(self) -> None:
        report = tables.report(
            results(
                measured("W1-blobs", "fastnn", 785e-6, warm_up=2.0),
                measured("W1-blobs", "numpy", 1570e-6, agrees=False, warm_up=0.5),
                Measurement("W1-blobs", "torch", 1, "missing", "torch is not installed"),
                Measurement("W2-auto-mpg", "fastnn", 1, "failed", "MemoryError"),
            )
        )
        row = next(line for line in report.splitlines() if line.startswith(f"| {find('W1-blobs').title}"))
        assert row.split(" | ")[1:] == ["1.00 us/step", "", "2.00x * |"]
        assert "torch is missing: torch is not installed." in report
        assert report.split("## Warm-up, 1 thread")[1].split("\n\n")[2].splitlines()[2].endswith("| 2.00 s | 500 ms |")
        assert "fastnn failed on W2-auto-mpg: MemoryError." in report

    def test_fastest_peer(self) -> None:
        found = results(
            measured("W1-blobs", "fastnn", 2.0),
            measured("W1-blobs", "numpy", 8.0),
            measured("W1-blobs", "jax scan", 4.0),
            measured("W1-blobs", "plain C", 1.0),
            measured("W1-blobs", "wrong", 0.5, agrees=False),
        )
        best = tables.fastest(found.of("W1-blobs", 1))
        assert best is not None
        assert best.peer == "jax scan"
        assert "2.00 times what fastnn needs: geometric mean of 1" in tables.geometric_mean(found)

    def test_share_of_the_limit(self) -> None:
        found = results(
            measured("W7-multiply_add-1000000000", "machine", 0.02),  # 100 GFLOP/s
            measured("W7-copy-32000000", "machine", 0.0128),  # 20 GB/s
            measured("W7-update-32000000", "machine", 0.0384),  # 10 GB/s
            measured("W7-matmul-64x64x64-NN", "fastnn", 2 * 64**3 / 50e9),
            measured("W7-adam-10000000", "fastnn", 0.112),
        )
        assert limit_rates(found, 1) == pytest.approx({"flops": 1e11, "bytes": 2e10, "copy": 2e10, "update": 1e10})
        report = tables.report(found)
        assert "| 50.0 GFLOP/s | 50% |" in report
        assert "| 2.50 GB/s | 25% |" in report

    def test_float64_has_half_the_peak_and_caches_no_limit(self) -> None:
        found = results(
            measured("W7-multiply_add-1000000000", "machine", 0.02),  # 100 GFLOP/s
            measured("W7-copy-32000000", "machine", 0.0256),
            measured("W7-matmul-64x64x64-NN-float64", "fastnn", 2 * 64**3 / 25e9),
            measured("W7-softmax_cross_entropy-128x10", "fastnn", 1e-6),
        )
        report = tables.report(found)
        assert "| 25.0 GFLOP/s | 50% |" in report
        assert "| 1.00 us |  |" in report

    def test_a_gpu(self) -> None:
        found = on_a_gpu(
            measured("W7-multiply_add-100000000000", "machine", 0.004),  # 50 TFLOP/s
            measured("W7-matmul-8192x8192x8192-NN", "fastnn", 2 * 8192**3 / 25e12),
            measured("W7-matmul-8192x8192x8192-NN", "cublas bf16", 2 * 8192**3 / 500e12),
            measured("W7-matmul-8192x8192x8192-NN", "torch eager", 2 * 8192**3 / 50e12),
            measured("W7-matmul-64x64x64-NN-float64", "fastnn", 2 * 64**3 / 25e9),
        )
        report = tables.report(found)
        assert "A GPU, sm_90, driver 580.1; host: A machine, 2 cores" in report
        assert "| 25,000.0 GFLOP/s | 50% | torch eager 0.50x |" in report
        assert "| 25.0 GFLOP/s |  |" in report

    def test_less_precise_results_judge_nobody(self) -> None:
        row = "W7-matmul-64x64x64-NN"
        values = {"fastnn": 1.0, "torch eager": 1.0, "cublas bf16": 1.1, "cublas tf32": 1.1, "fastnn tf32": 1.1}
        found = compare_results([measured(row, name, 1.0, result=[value]) for name, value in values.items()], [])
        assert {m.peer: m.agrees for m in found} == {
            "fastnn": True,
            "torch eager": True,
            "cublas bf16": None,
            "cublas tf32": None,
            "fastnn tf32": None,
        }

    @pytest.mark.parametrize(("threads", "mark"), [(1, " ~"), (2, "")])
    def test_a_shared_core_is_marked(self, threads: int, mark: str) -> None:
        assert tables.marks(replace(measured("W1-blobs", "a", 1.0, threads=threads), cpu=[0.5])) == mark

    def test_summary(self) -> None:
        text = tables.summary(results(measured("W1-blobs", "fastnn", 785e-6), measured("W1-blobs", "numpy", 1570e-6)))
        assert "W1-blobs" in text
        assert "2.00x  numpy" in text


class TestCompare:
    before = results(measured("W1-blobs", "fastnn", 1.0, 1.0, 1.0, 1.0), measured("W2-auto-mpg", "fastnn", 1.0, 2.0, 3.0, 4.0))

    def after(self, first: float, second: float) -> Results:
        return results(
            measured("W1-blobs", "fastnn", first, first, first, first),
            measured("W2-auto-mpg", "fastnn", *(second * value for value in (1.0, 2.0, 3.0, 4.0))),
        )

    @pytest.mark.parametrize(("first", "flagged"), [(1.02, False), (0.98, False), (1.1, True), (0.9, True)])
    def test_flags_what_is_beyond_the_spread(self, first: float, flagged: bool) -> None:
        assert [change.flagged for change in compare.changes(self.before, self.after(first, 1.3))] == [flagged, False]

    def test_report(self) -> None:
        text = compare.report(self.before, self.after(1.5, 1.0))
        assert "worse   W1-blobs, fastnn, 1 thread" in text
        assert "W2-auto-mpg" not in text
        assert text.endswith("2 measurements in both runs: 0 better, 1 worse beyond the spread")
        assert "same    W2-auto-mpg" in compare.report(self.before, self.after(1.5, 1.0), everything=True)

    def test_other_machines_are_named(self) -> None:
        other = replace(self.before, machine={**MACHINE, "name": "B"})
        assert compare.report(self.before, other).startswith("the runs are from different machines: A machine and B")

    @pytest.mark.parametrize(("first", "status"), [(1.5, 1), (0.5, 0)])
    def test_status(self, tmp_path: Path, capsys: pytest.CaptureFixture[str], first: float, status: int) -> None:
        self.before.save(tmp_path / "a.json")
        self.after(first, 1.0).save(tmp_path / "b.json")
        assert compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == status
        assert "W1-blobs" in capsys.readouterr().out

    def test_a_file_that_is_not_there(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            compare.main([str(tmp_path / "a.json"), str(tmp_path / "b.json")])
        assert "a.json" in capsys.readouterr().err


def test_charts(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks import charts

    rows = ["W1-blobs", "W3-batch-1", "W3-batch-4", "W7-matmul-64x64x64-NN", "W7-matmul-128x128x128-NN"]
    rows += ["growth-width-1", "growth-width-2", "growth-depth-2", "neighbour-mnist-512", "neighbour-mnist-512-busy"]
    found = [
        measured(row, peer, seconds, threads=threads)
        for row in rows
        for peer, seconds in (("fastnn", 1.0), ("numpy", 2.0))
        for threads in (1, 2)
    ]
    found += [measured(row, "machine", 1.0) for row in LIMIT_ROWS]
    found.append(Measurement("W11-images", "fastnn", 2, "ok", curve=[[0.1, 0.5], [0.2, 0.98]]))
    written = charts.draw(results(*found), tmp_path / "run")
    names = ("ratios", "matmul", "batches", "threads", "growth", "neighbour", "quality")
    assert [Path(file).name for file in written] == [f"run-{name}.png" for name in names]
    assert all(Path(file).read_bytes().startswith(b"\x89PNG") for file in written)
    assert charts.draw(results(measured("W1-blobs", "fastnn", 1.0)), tmp_path / "alone") == []
    products = [measured(f"W7-matmul-{n}x{n}x{n}-NN", peer, 1.0) for n in (4096, 8192) for peer in ("fastnn", "cublas tf32")]
    written = charts.draw(on_a_gpu(*products), tmp_path / "gpu")
    assert [Path(file).name for file in written] == ["gpu-matmul.png"]


LIMIT_ROWS = ("W7-multiply_add-1000000000", "W7-copy-32000000", "W7-scale-65536")


class TestGrowth:
    @pytest.mark.parametrize("key", ["growth-depth-1", "growth-depth-4", "growth-width-16"])
    def test_rows_are_the_program_s(self, key: str) -> None:
        spec = find(key).spec
        assert isinstance(spec, TrainSpec)
        data, model = make_data(spec, 0), with_fastnn.build(spec)
        model.compile(with_fastnn.optimizer(spec), with_fastnn.LOSSES[spec.loss], device="reference")
        model.fit(data["x"][: spec.batch], data["y"][: spec.batch], batch_size=spec.batch, verbose=0)
        (program,) = model._runtime.programs.values()
        assert growth.rows(spec) == len(program.rows)

    def test_model_of_cost(self) -> None:
        limits = [measured(row, "machine", 0.01) for row in LIMIT_ROWS]
        smallest = find("growth-width-1").spec
        assert isinstance(smallest, TrainSpec)
        found = results(*limits, measured("growth-width-1", "fastnn", smallest.steps * growth.rows(smallest) * 1e-7))
        model = growth.cost_model(found, 1)
        assert model is not None
        assert (model.flops, model.memory, model.cache, model.latency) == pytest.approx((2e11, 2.56e10, 5.24288e7, 1e-7))
        wide = find("growth-width-4096").spec
        assert isinstance(wide, TrainSpec)
        arithmetic = 6 * 32 * (2 * 4096 * 4096 + 4096 * 10) - 2 * 32 * 4096 * 4096
        traffic = 4 * (10 * wide.parameters + 32 * (10 * (2 * 4096 + 10) + 4 * 4096))
        assert model.bounds(wide)[1] == pytest.approx(arithmetic / 2e11 + traffic / 2.56e10 + 22e-7)

    def test_without_limits_there_is_none(self) -> None:
        assert growth.cost_model(results(measured("growth-width-1", "fastnn", 1.0)), 1) is None
