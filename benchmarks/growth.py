"""What a step costs as a model grows, beside what a simple model of cost says: arithmetic, traffic and the rows themselves.

    seconds = FLOP / peak + bytes / bandwidth + rows * latency

Peak and bandwidths are those of the same run's limits; the latency is what the smallest network's step takes, divided by its rows.
The arrays of a step may lie in the caches or not: the band between the two bandwidths says both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.drawing import COLORS, GREY, MARKERS, PALE, new_figure, plain
from benchmarks.results import OURS, Measurement, Results, limit_rates, on_threads
from benchmarks.workloads import GROWTH
from fastnn.bench.specs import TrainSpec
from fastnn.bench.timing import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALLEST = "growth-width-1"

ROWS_A_LAYER, ROWS_BESIDE = 5, 7
"""A layer: one product forward; backward its activation, a sum and two products. Beside: the batch, the loss, the update."""


def rows(spec: TrainSpec) -> int:
    """Rows of the program of one step."""
    return ROWS_A_LAYER * len(spec.widths) + ROWS_BESIDE


def traffic(spec: TrainSpec) -> int:
    """Bytes that the rows of one step read and write.

    Weights: read forward and backward, gradients written, 4 reads and 3 writes of Adam. A layer's values: written, read by the next
    layer, its gradient and the activation's; their gradients: written twice, read four times. The batch: gathered, read twice.
    """
    return 4 * (10 * spec.parameters + spec.batch * (10 * sum(spec.widths) + 4 * spec.inputs))


def step(measurement: Measurement) -> float:
    """Seconds of one step."""
    spec = measurement.row.spec
    assert isinstance(spec, TrainSpec)
    return measurement.value / spec.steps


@dataclass(frozen=True)
class CostModel:
    """FLOP/s, bytes/s in the caches and out of them, seconds a row."""

    flops: float
    cache: float
    memory: float
    latency: float

    def bounds(self, spec: TrainSpec) -> tuple[float, float]:
        """Seconds of a step whose arrays lie in the caches, and of one whose arrays do not."""
        fixed = spec.flops / spec.steps / self.flops + rows(spec) * self.latency
        return fixed + traffic(spec) / self.cache, fixed + traffic(spec) / self.memory


def cost_model(results: Results, threads: int) -> CostModel | None:
    """From the limits that a run measured; None where one is not there."""
    rates, smallest = limit_rates(results, threads), results.find(SMALLEST, threads, OURS)
    if smallest is None or not {"flops", "bytes", "cache"} <= rates.keys():
        return None
    spec = smallest.row.spec
    assert isinstance(spec, TrainSpec)
    return CostModel(rates["flops"], rates["cache"], rates["bytes"], step(smallest) / rows(spec))


def chart(results: Results) -> Figure | None:
    """A panel for each thing that grows, on logarithmic scales: fastnn on one thread and on all, NumPy, and the model of cost."""
    names = [
        name for name, workloads in GROWTH.items() if any(results.find(row.key, results.threads[0], OURS) for row in workloads)
    ]
    panels = [(name, name) for name in names] + [("width", "parameters")] * ("width" in names)
    if not panels:
        return None
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    drawn = new_figure(6.0 * columns + 1.4, 3.4 * lines + 0.5, "Time of a step as a model grows", results)
    grid = drawn.subplots(lines, columns, squeeze=False)
    for axes, (name, label) in zip(grid.flat, panels, strict=False):
        _panel(axes, results, name, label)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    grid[0][-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


TITLES = {
    "batch": "64-64-64-10, Adam, over the batch size",
    "width": "w-w-w-10, Adam, batch 32, over the width w",
    "depth": "layers of 64, Adam, batch 32, over their number",
    "parameters": "w-w-w-10, Adam, batch 32, over the number of weights",
}


def _panel(axes: Axes, results: Results, name: str, label: str) -> None:
    specs = {row.key: row.spec for row in GROWTH[name] if isinstance(row.spec, TrainSpec)}
    places = {key: spec.parameters if label == "parameters" else int(key.rsplit("-", 1)[1]) for key, spec in specs.items()}
    model = cost_model(results, results.threads[0])
    if model is not None:
        low, high = zip(*(model.bounds(spec) for spec in specs.values()), strict=True)
        text = "model of cost, 1 thread:\nfrom caches to memory"
        axes.fill_between(list(places.values()), low, high, color=PALE, label=text)
    shown = [*((OURS, threads) for threads in results.threads[:2]), ("numpy", results.threads[0])]
    for number, (peer, threads) in enumerate(shown):
        found = [(places[key], step(m)) for key in specs if (m := results.find(key, threads, peer)) is not None]
        if found:
            plural = on_threads(threads)
            line = "--" if number and peer == OURS else "-"
            axes.plot(
                *zip(*found, strict=True), line, marker=MARKERS[peer], markersize=4, color=COLORS[peer], label=f"{peer}, {plural}"
            )
    plain(axes, TITLES[label])
    axes.set_xscale("log", base=10 if label == "parameters" else 2)
    axes.set_yscale("log")
    if label != "parameters":
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_major_formatter(lambda value, _: duration(value).replace(".00", "").replace(".0 ", " "))
    axes.set_xlabel("weights" if label == "parameters" else {"batch": "batch size"}.get(label, label), color=GREY, fontsize=9)
    axes.set_ylabel("time of a step", color=GREY, fontsize=9)
    axes.grid(color=PALE, linewidth=0.8)
