"""Results as pictures; needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import growth
from benchmarks.drawing import COLORS, GREY, PALE, color, new_figure, plain, styles
from benchmarks.results import LIMITS, OURS, Measurement, Results, figure, limit_rates, on_threads, ratio
from benchmarks.workloads import BATCHES, NEIGHBOUR, ONLY_CUDA, SQUARE
from fastnn.bench.specs import KernelSpec, TrainSpec, Workload
from fastnn.bench.timing import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

RATIO_ROWS = (
    ("W1-blobs", "W1  2-25-15-4, batch 32"),
    ("W2-auto-mpg", "W2  9-64-64-1, batch 32"),
    ("W3-mnist-512", "W3  784-512-512-10, batch 128"),
    ("W3-mnist-128", "W3  784-128-10, batch 32"),
    ("W4-iris", "W4  4-6-6-3, batch 5"),
    ("W5-wide", "W5  4096-4096-4096-1000, batch 256"),
    ("W6-blobs-1-prepared", "W6  one row, 2-25-15-4"),
    ("W6-mnist-32-prepared", "W6  32 rows, 784-512-512-10"),
    ("W8-first-fit-warm", "W8  process to first model"),
    ("W9-sweep", "W9  sweep of W1 models"),
    ("W7-softmax_cross_entropy-1024x32000", "W7  softmax-cross-entropy (1024, 32000)"),
    ("W7-adam-10000000", "W7  Adam, 10M parameters"),
)
"""Panels of the first chart."""

THREAD_ROWS = (
    *RATIO_ROWS[:6],
    ("W6-mnist-4096-predict", "W6  predict, 4,096 rows"),
    ("W7-matmul-2048x2048x2048-NN", "W7  matmul, 2048"),
    ("W7-softmax_cross_entropy-1024x32000", "W7  cross-entropy, 1024x32000"),
    ("W7-adam-10000000", "W7  Adam, 10M"),
)
"""Groups of bars of the chart of scaling."""


def draw(results: Results, path: Path) -> list[str]:
    """Write ``<path>-<chart>.png`` for every chart that the results have data for; returns their names."""
    charts: dict[str, Callable[[Results], Figure | None]] = {
        "ratios": ratios,
        "matmul": matmul,
        "batches": batches,
        "threads": scaling,
        "growth": growth.chart,
        "neighbour": neighbour,
        "quality": quality,
    }
    written = []
    for name, chart in charts.items():
        drawn = chart(results)
        if drawn is not None:
            drawn.savefig(f"{path}-{name}.png", dpi=150)
            written.append(f"{path}-{name}.png")
    return written


def ratios(results: Results) -> Figure | None:
    """A panel a workload: bars from fastnn's time to each peer's."""
    threads = results.threads[-1]
    panels = []
    for key, title in RATIO_ROWS:
        found = results.of(key, threads) if any(row.key == key for row in results.workloads) else {}
        ours = found.get(OURS)
        others = [(m, value) for m in found.values() if m.peer != OURS and (value := ratio(m, ours)) is not None]
        if ours is not None and others:
            panels.append((title, ours, sorted(others, key=lambda pair: pair[1])))
    if not panels:
        return None
    columns = min(3, len(panels))
    lines = [panels[start : start + columns] for start in range(0, len(panels), columns)]
    heights = [max(len(others) for _, _, others in line) + 2.4 for line in lines]
    title = f"Time, as a multiple of fastnn's ({on_threads(threads)})"
    drawn = new_figure(4.6 * columns, 0.23 * sum(heights) + 0.6, title, results)
    drawn.text(0.01, 0.06 / drawn.get_figheight(), "logarithmic scales", va="bottom", fontsize=7.5, color=GREY)
    grid = drawn.subplots(len(lines), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    for axes, panel in zip(grid.flat, panels, strict=False):
        _ratio_panel(axes, results, *panel)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    return drawn


def _ratio_panel(axes: Axes, results: Results, title: str, ours: Measurement, others: list[tuple[Measurement, float]]) -> None:
    places, values = range(len(others)), [value for _, value in others]
    names = [m.peer for m, _ in others]
    axes.barh(places, [value - 1 for value in values], left=1, color=[color(results, name) for name in names], height=0.72)
    axes.set_xscale("log")
    least, most = min(0.8, *values), max(2.0, *values)
    axes.set_xlim(least / (most / least) ** 0.16, most * (most / least) ** 0.22)
    for place, value in zip(places, values, strict=True):
        offset, align = ((3, 0), "left") if value >= 1 else ((-3, 0), "right")
        axes.annotate(_times(value), (value, place), offset, textcoords="offset points", va="center", ha=align, fontsize=8)
    axes.axvline(1, color=COLORS[OURS], linewidth=2)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    plain(axes, title)
    above = axes.get_xaxis_transform()
    axes.text(1, 1.0, f"fastnn {figure(ours)}", transform=above, fontsize=7.5, color=COLORS[OURS], va="bottom")
    axes.set_title(title, loc="left", fontsize=10, pad=14)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(axis="y", length=0, colors="black")
    axes.tick_params(axis="x", which="both", bottom=False, labelbottom=False)


def _times(value: float) -> str:
    return f"{value:.2f}x" if value < 10 else f"{value:,.0f}x"


def matmul(results: Results) -> Figure | None:
    """GFLOP/s of square products over their size, a panel a number of threads, below the machine's peak."""

    def rate(measurement: Measurement) -> float:
        spec = measurement.row.spec
        assert isinstance(spec, KernelSpec)
        return spec.flops / measurement.value / 1e9

    rows = (*SQUARE, *(row for row in ONLY_CUDA if row in results.workloads))
    sizes = {row.key: row.spec.shape[0] for row in rows if isinstance(row.spec, KernelSpec) and row.spec.op == "matmul"}
    drawn = _lines(results, sizes, rate, "Matrix products, float32: GFLOP/s over size", "n: (n, n) @ (n, n)", "GFLOP/s")
    if drawn is None:
        return None
    for axes, threads in zip(drawn.axes, results.threads, strict=False):
        axes.set_ylim(bottom=0)
        peak = limit_rates(results, threads).get("flops")
        if peak is not None:
            axes.axhline(peak / 1e9, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
            place = (min(sizes.values()), peak / 1e9)
            axes.set_ylim(top=max(axes.get_ylim()[1], 1.12 * peak / 1e9))
            axes.annotate("the machine's peak", place, (0, 3), textcoords="offset points", fontsize=8, color=GREY)
    return drawn


def batches(results: Results) -> Figure | None:
    """Time of a step over the batch size, a panel a number of threads."""

    def step(measurement: Measurement) -> float:
        spec = measurement.row.spec
        assert isinstance(spec, TrainSpec)
        return measurement.value / spec.steps

    sizes = {row.key: row.spec.batch for row in BATCHES if isinstance(row.spec, TrainSpec)}
    drawn = _lines(results, sizes, step, "784-128-10, Adam: time of a step over the batch size", "batch size", "time of a step")
    if drawn is not None:
        for axes in drawn.axes:
            axes.set_yscale("log")
            axes.yaxis.set_major_formatter(lambda value, _: duration(value).replace(".00", "").replace(".0 ", " "))
    return drawn


def _lines(
    results: Results, sizes: dict[str, int], value: Callable[[Measurement], float], title: str, x_label: str, y_label: str
) -> Figure | None:
    """A line a peer, a panel a number of threads."""
    curves = {
        threads: {
            name: [(size, value(m)) for key, size in sizes.items() if (m := results.find(key, threads, name)) is not None]
            for name in results.peers
        }
        for threads in results.threads
    }
    names = [name for name in results.peers if any(len(found[name]) > 1 for found in curves.values())]
    if not names:
        return None
    drawn = new_figure(5.0 * len(curves) + 1.6, 4.2, title, results)
    style = styles(results, names)
    for axes, (threads, found) in zip(drawn.subplots(1, len(curves), squeeze=False, sharey=True)[0], curves.items(), strict=True):
        for name in names:
            axes.plot(*zip(*found[name], strict=True) if found[name] else ([], []), label=name, **style[name])
        plain(axes, on_threads(threads))
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(sizes.values()), [str(size) for size in sizes.values()])
        axes.set_xlabel(x_label, color=GREY, fontsize=9)
        axes.grid(axis="y", color=PALE, linewidth=0.8)
    drawn.axes[0].set_ylabel(y_label, color=GREY, fontsize=9)
    drawn.axes[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


def scaling(results: Results) -> Figure | None:
    """How many times faster all threads are than one: a group of bars a workload, a bar a library."""
    if len(results.threads) < 2:
        return None
    one, most = results.threads[0], results.threads[-1]
    known = {row.key for row in results.workloads}
    rows = [(key, title) for key, title in THREAD_ROWS if key in known]
    groups = dict.fromkeys(about["group"] for name, about in results.peers.items() if name not in LIMITS)
    speedups = {group: [_speedup(results, key, group, one, most) for key, _ in rows] for group in groups}
    speedups = {group: values for group, values in speedups.items() if any(values)}
    if not speedups:
        return None
    drawn = new_figure(max(6.0, 1.35 * len(rows) + 1.6), 4.0, f"Speed on {most} threads, as a multiple of one thread", results)
    axes = drawn.subplots()
    width = 0.84 / len(speedups)
    for number, (group, values) in enumerate(speedups.items()):
        places = [place + (number - (len(speedups) - 1) / 2) * width for place in range(len(rows))]
        axes.bar(places, [value or 0.0 for value in values], width * 0.88, label=group, color=COLORS.get(group, "#999999"))
    plain(axes, "")
    axes.axhline(1, color=GREY, linewidth=1)
    axes.axhline(most, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate("every thread at full speed", (-0.55, most), (0, 3), textcoords="offset points", fontsize=8, color=GREY)
    axes.set_xticks(range(len(rows)), [title.replace("  ", "\n").replace(", ", "\n") for _, title in rows], fontsize=7.5)
    axes.set_xlim(-0.6, len(rows) - 0.4)
    axes.set_ylim(0, most * 1.18)
    axes.grid(axis="y", color=PALE, linewidth=0.8)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


def _speedup(results: Results, key: str, group: str, one: int, most: int) -> float | None:
    """Of the fastest way of using a library on one thread and on all."""
    names = [name for name, about in results.peers.items() if about["group"] == group]
    slow, fast = (
        min((m.value for name in names if (m := results.find(key, count, name)) is not None), default=None) for count in (one, most)
    )
    return None if slow is None or fast is None else slow / fast


def neighbour(results: Results) -> Figure | None:
    """A panel a workload, a group of bars a library: one worker and all, quiet and beside a busy process."""
    rows = [row for row in NEIGHBOUR if not row.neighbour and results.of(row.key, results.threads[-1])]
    if not rows or len(results.threads) < 2:
        return None
    one, most = results.threads[0], results.threads[-1]
    drawn = new_figure(5.2 * len(rows), 4.0, "Time beside a busy neighbour, as a multiple of one quiet worker", results)
    for axes, row in zip(drawn.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        _neighbour_panel(axes, results, row, one, most)
    drawn.axes[-1].legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return drawn


TALLEST = 4.0
"""A bar of the chart of neighbours that is taller is cut, its number stays."""


def _neighbour_panel(axes: Axes, results: Results, row: Workload, one: int, most: int) -> None:
    names = [name for name in results.peers if results.find(row.key, one, name) is not None]
    for number, (count, busy) in enumerate((count, busy) for count in (one, most) for busy in ("", "-busy")):
        pairs = [(results.find(row.key + busy, count, name), results.find(row.key, one, name)) for name in names]
        heights = [ratio(found, quiet) or 0.0 if found is not None else 0.0 for found, quiet in pairs]
        places = [place + 0.21 * (number - 1.5) for place in range(len(names))]
        label = f"{count} worker{'s' * (count > 1)}, {'a busy neighbour' if busy else 'quiet'}"
        color = COLORS["jax"] if busy else COLORS["fastnn"]
        shown = [min(height, TALLEST) for height in heights]
        axes.bar(places, shown, 0.19, label=label, color=color, alpha=0.45 if count == one else 1.0)
        for place, top, height in zip(places, shown, heights, strict=True):
            text = f"{height:.2f}" if height < 10 else f"{height:.0f}"
            axes.annotate(text * bool(height), (place, top), (0, 2), textcoords="offset points", ha="center", fontsize=7)
    plain(axes, row.title)
    axes.axhline(1, color=GREY, linewidth=1)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.04)
    axes.set_xticks(range(len(names)), names)
    axes.grid(axis="y", color=PALE, linewidth=0.8)


def quality(results: Results) -> Figure | None:
    """W11: score over seconds of training."""
    drawable = {m.workload for m in results.measurements if m.curve}
    rows = [row for row in results.workloads if row.key in drawable]
    if not rows:
        return None
    threads = results.threads[-1]
    drawn = new_figure(4.6 * len(rows), 3.9, f"Quality over seconds of training ({on_threads(threads)})", results)
    for axes, row in zip(drawn.subplots(1, len(rows), squeeze=False)[0], rows, strict=True):
        _quality_panel(axes, results, row, threads)
    return drawn


def _quality_panel(axes: Axes, results: Results, row: Workload, threads: int) -> None:
    target = getattr(row.spec, "target", 0.0)
    for measurement in results.of(row.key, threads).values():
        if measurement.curve:
            seconds, scores = zip(*measurement.curve, strict=True)
            if not target:
                scores = tuple(min(scores[: place + 1]) for place in range(len(scores)))
            name = measurement.peer
            marker = "o" if results.peers[name]["group"] == "trees" else None
            axes.plot(seconds, scores, color=color(results, name), label=name, linewidth=1.8, marker=marker, markersize=4)
    data = next(m.why for m in results.of(row.key, threads).values() if m.curve)
    plain(axes, row.title.capitalize() if not target else f"Test accuracy, {data}, to {target:.0%}")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("seconds", color=GREY, fontsize=9)
    axes.set_ylabel("accuracy" if target else "least RMS error so far", color=GREY, fontsize=9)
    axes.grid(color=PALE, linewidth=0.8)
    if target:
        axes.axhline(target, color=GREY, linewidth=1, linestyle=(0, (4, 3)))
        axes.set_ylim(top=1 - (1 - target) / 2)
    else:
        axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8, loc="lower right" if target else "best")
