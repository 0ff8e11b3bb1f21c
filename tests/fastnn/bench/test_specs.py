"""Workloads' data, and fastnn beside NumPy on it: both do the same work."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from fastnn.bench import short, with_fastnn, with_numpy
from fastnn.bench.specs import (
    InferSpec,
    KernelSpec,
    MemorySpec,
    ProcessSpec,
    SweepSpec,
    TrainSpec,
    make_data,
    orders,
)
from fastnn.bench.timing import Task, summarize
from fastnn.bench.workloads import BLOBS, SHORT, W1, W8

SMALL = TrainSpec(3, (5, 4), "softmax_cross_entropy", "adam", 1e-2, samples=50, batch=16, epochs=3)
REGRESSION = replace(SMALL, widths=(5, 2), loss="mean_squared_error")


def ready(task: Task | None) -> Task:
    assert task is not None
    if task.reset is not None:
        task.reset()
    return task


def test_counts() -> None:
    assert SMALL.steps == 3 * 4
    assert SMALL.parameters == 3 * 5 + 5 + 5 * 4 + 4
    assert SMALL.flops == 2 * 50 * 3 * (3 * (15 + 20) - 15)
    assert KernelSpec("matmul", (2, 3, 4)).flops == 48
    assert KernelSpec("adam", (10,)).bytes == 280
    assert KernelSpec("relu_backward", (10,)).bytes == 120
    assert KernelSpec("matmul", (2, 3, 4)).bytes == 0
    assert KernelSpec("update", (10,)).bytes == 120


@pytest.mark.parametrize(
    ("op", "shape", "expected"),
    [
        ("softmax_cross_entropy", (10, 100), 8000),
        ("mean_squared_error", (10, 100), 12_000),
        ("sum_rows", (10, 100), 4000),
        ("take_rows", (10, 100, 10), 2000),
        ("accumulate_mean", (10,), 40),
        ("sgd", (10,), 120),
        ("shuffle", (10,), 160),
    ],
)
def test_bytes_by_the_contract(op: str, shape: tuple[int, ...], expected: int) -> None:
    assert KernelSpec(op, shape).bytes == expected


def test_data_by_the_contract() -> None:
    data = make_data(KernelSpec("categorical_cross_entropy", (6, 5)), 0)
    assert {name: array.shape for name, array in data.items()} == {
        "pred": (6, 5),
        "target": (6, 5),
        "scale": (1,),
        "loss": (6,),
        "dpred": (6, 5),
    }
    np.testing.assert_allclose(data["pred"].sum(axis=1), 1, rtol=1e-6)
    assert data["scale"] == pytest.approx(1 / 6)
    assert make_data(KernelSpec("matmul", (2, 2, 2), dtype="float64"), 0)["a"].dtype == np.float64


@pytest.mark.parametrize(
    "spec", [SMALL, REGRESSION, SweepSpec(SMALL, 2), InferSpec(SMALL, 7, "call"), KernelSpec("matmul", (2, 3, 4), True)], ids=repr
)
def test_data_follows_the_seed(spec: Any) -> None:
    one, same, other = (make_data(spec, seed) for seed in (1, 1, 2))
    first = next(iter(one))
    np.testing.assert_array_equal(one[first], same[first])
    assert not np.array_equal(one[first], other[first])


def test_data_of_training() -> None:
    data = make_data(SMALL, 0)
    assert {name: data[name].dtype.name for name in ("x", "y", "orders")} == {"x": "float32", "y": "int32", "orders": "int64"}
    assert [weight.shape for weight in data["weights"]] == [(3, 5), (5,), (5, 4), (4,)]
    np.testing.assert_array_equal(np.sort(data["orders"], axis=1), np.tile(np.arange(50), (3, 1)))


def test_data_of_products() -> None:
    data = make_data(KernelSpec("matmul", (2, 3, 4), transpose_a=True, transpose_b=True), 0)
    assert [data[name].shape for name in ("a", "b", "out")] == [(4, 2), (3, 4), (2, 3)]


def test_no_data_of_its_own() -> None:
    with pytest.raises(TypeError, match="MemorySpec has no data"):
        make_data(MemorySpec(SMALL), 0)


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("spec", [SMALL, REGRESSION], ids=["labels", "targets"])
def test_fastnn_and_numpy_do_the_same_work(spec: TrainSpec, optimizer: str) -> None:
    spec = replace(spec, optimizer=optimizer)
    data = make_data(spec, 0)
    ours, numpys = (ready(module.train(spec, data, 1)).run() for module in (with_fastnn, with_numpy))
    assert ours == pytest.approx(numpys, rel=1e-5)
    in_another_order = data | {"orders": orders(spec, data["seed"] + 1)}
    assert ready(with_numpy.train(spec, in_another_order, 1)).run() != pytest.approx(numpys, rel=1e-5)


@pytest.mark.parametrize("module", [with_fastnn, with_numpy])
def test_reset_starts_again(module: Any) -> None:
    task = ready(module.train(SMALL, make_data(SMALL, 0), 1))
    losses = [task.run(), task.run()]
    ready(task)
    assert [task.run(), task.run()] == losses
    assert losses[1] < losses[0]


@pytest.mark.parametrize("route", ["predict", "call", "prepared"])
def test_routes_agree(route: str) -> None:
    spec = InferSpec(SMALL, 7, route)
    data = make_data(spec, 0)
    expected = ready(with_numpy.infer(replace(spec, route="prepared"), data, 1)).run()
    np.testing.assert_allclose(ready(with_fastnn.infer(spec, data, 1)).run(), expected, rtol=1e-5)


def test_numpy_has_one_route() -> None:
    assert with_numpy.infer(InferSpec(SMALL, 7, "predict"), make_data(InferSpec(SMALL, 7, "predict"), 0), 1) is None


def test_keys_and_kinds() -> None:
    assert [row.key for row in SHORT[:2]] == ["W1-blobs", "W6-blobs-1-predict"]
    assert {row.kind for row in SHORT} == {"train", "infer", "process"}


class TestShortForm:
    """``python -m fastnn bench``."""

    def test_line(self) -> None:
        text = short.line(W1, {"fastnn": summarize([1e-6 * BLOBS.steps]), "NumPy": summarize([2.5e-6 * BLOBS.steps])})
        assert text.split()[-5:] == ["1.00", "us/step", "2.50", "us/step", "2.50x"]

    def test_line_of_one(self) -> None:
        assert short.line(W8[2], {"fastnn": summarize([1.5])}).split()[-3:] == ["1.50", "s", "–"]

    def test_first_fits_agree(self) -> None:
        assert short.first_fit("fastnn") == pytest.approx(short.first_fit("NumPy"), rel=1e-5)

    def test_measures_every_peer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(short, "SAMPLES", 2)
        found = short.measure(replace(W1, spec=SMALL), 1)
        assert {name: each.count for name, each in found.items()} == {"fastnn": 2, "NumPy": 2}

    def test_processes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(short, "PROCESSES", 1)
        assert len(short.processes(ProcessSpec("import", SMALL), "NumPy")) == 1
