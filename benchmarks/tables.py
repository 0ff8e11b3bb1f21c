"""Results as Markdown, and as lines on the screen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.peers import Peer
from benchmarks.results import IN_CACHE, LESS_PRECISE, LIMITS, OURS, Measurement, Results, figure, limit_rates, on_threads, ratio
from fastnn.bench.kernel_data import STREAMS
from fastnn.bench.specs import KernelSpec, SweepSpec, TrainSpec, Workload
from fastnn.bench.timing import duration

SECTIONS = {
    "W1": "W1 blobs",
    "W2": "W2 auto mpg",
    "W3": "W3 MNIST shapes",
    "W4": "W4 iris",
    "W5": "W5 wide",
    "W6": "W6 inference",
    "W7": "W7 kernels",
    "forms": "Parallel forms",
    "neighbour": "A busy neighbour",
    "costs": "Costs of a row, a meeting, a call",
    "W8": "W8 processes",
    "W9": "W9 sweep",
    "W10": "W10 memory",
    "W11": "W11 quality over time",
    "growth": "Growth: batch, width, depth",
}

BUSY = 0.9
"""CPU time below this part of wall time, on one thread: the core was shared with somebody else."""

MARKS = "`*`: its result differs from the others'. `~`: the core was shared with other processes meanwhile."

READERS = ("sum_rows", "binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")
BACKWARD = ("relu_backward", "sigmoid_backward", "tanh_backward", "softmax_backward", "log_softmax_backward")
UPDATERS = ("sgd", "adagrad", "rmsprop", "adam", *BACKWARD)
"""Kernels that memory limits as it does `read` and `update` (two arrays in, one out); all others are limited as `copy` is."""


def report(results: Results) -> str:
    """The whole run: where, then a section an id of the workload table, then the peers."""
    parts = [f"# Benchmark results, {results.date}", where(results), READING]
    for identifier, title in SECTIONS.items():
        rows = [row for row in results.workloads if row.id == identifier]
        if rows:
            parts.append(f"## {title}")
            parts += [_section(results, rows, threads) for threads in results.threads]
    return "\n\n".join(filter(None, [*parts, *_warm_ups(results), *_gaps(results), _peers(results)])) + "\n"


READING = (
    "fastnn: the median. Others: how many times what fastnn needs; more than 1.00 is slower. ±: half the distance of the quartiles "
    "in percent of the median; without it there is one sample. *Of the limit*: of the machine's multiply-adds in registers, or of "
    f"its copy, update or read of memory, whichever is alike. {MARKS}"
)


def where(results: Results) -> str:
    """One line about the machine."""
    found = results.machine
    memory = f", {found['memory_gb']:g} GB" if found["memory_gb"] else ""
    load = f"; load at the end {found['load']:g}" if found["load"] is not None else ""
    gpu = f"{found['gpu_about']}, driver {found['gpu_driver'] or 'unknown'}; host: " if "gpu" in found else ""
    return f"{gpu}{found['name']}, {found['cores']} cores{memory}, {found['system']}, Python {found['python']}{load}."


def _section(results: Results, rows: Sequence[Workload], threads: int) -> str:
    """One table: a row a workload, a column a peer that has a number in one of them."""
    measured = {row.key: results.of(row.key, threads) for row in rows}
    rows = [row for row in rows if measured[row.key]]
    names = [name for name in results.peers if name != OURS and any(_has(measured[row.key].get(name)) for row in rows)]
    if not rows:
        return ""
    limits = limit_rates(results, threads)
    bounded = any(_limit(row, limits, results.device) for row in rows)
    head = ["workload", OURS, *(["of the limit"] if bounded else []), "fastest peer", *names]
    lines = [_row(head), _row(["---"] + ["---:"] * (len(head) - 1))]
    for row in rows:
        found = measured[row.key]
        ours, best = found.get(OURS), fastest(found)
        share = [_share(ours, _limit(row, limits, results.device))] if bounded else []
        against = f"{best.peer} {cell(best, ours)}" if best is not None else ""
        lines.append(_row([row.title, cell(ours, ours), *share, against, *(cell(found.get(name), ours) for name in names)]))
    return f"{on_threads(threads)}\n\n" + "\n".join(lines)


def _has(measurement: Measurement | None) -> bool:
    return measurement is not None and measurement.status == "ok"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cell(measurement: Measurement | None, ours: Measurement | None) -> str:
    """What a table says of one measurement; a peer that could not run it is a gap."""
    if measurement is None:
        return ""
    if measurement.status != "ok":
        return {"missing": "missing", "gap": "–", "failed": "failed"}[measurement.status]
    found = ratio(measurement, ours)
    text = figure(measurement) if found is None or measurement.peer == OURS else f"{found:.2f}x"
    if len(measurement.wall) > 1:
        text += f" ±{100 * measurement.time.spread:.0f}%"
    return text + marks(measurement)


def fastest(found: Mapping[str, Measurement]) -> Measurement | None:
    """The fastest other library whose result is right; limits and products in less precision are none."""
    right = (m for m in found.values() if m.status == "ok" and m.agrees is not False)
    peers = [m for m in right if m.peer not in (OURS, *LIMITS, *LESS_PRECISE)]
    return min(peers, key=lambda m: m.value, default=None)


def marks(measurement: Measurement) -> str:
    """See `MARKS`."""
    wall, cpu = sum(measurement.wall), sum(measurement.cpu)
    shared = measurement.threads == 1 and wall > 0 and cpu < BUSY * wall
    return " *" * (measurement.agrees is False) + " ~" * shared


def _limit(row: Workload, limits: dict[str, float], device: str) -> float | None:
    """Seconds that the machine needs at least."""
    spec = row.spec
    if not isinstance(spec, KernelSpec) or spec.op in (*STREAMS, "multiply_add"):
        return None
    if spec.flops and spec.dtype == "float64" and device == "cuda":  # any part of float32's rate, by the GPU's kind
        return None
    if spec.flops:
        twice = 2 if spec.dtype == "float64" else 1  # half as many of them fit in a register
        return twice * spec.flops / limits["flops"] if "flops" in limits else None
    stream = "read" if spec.op in READERS else "update" if spec.op in UPDATERS else "copy"
    return spec.bytes / limits[stream] if stream in limits and spec.bytes >= IN_CACHE else None


def _share(ours: Measurement | None, limit: float | None) -> str:
    return f"{100 * limit / ours.value:.0f}%" if limit and ours is not None and ours.status == "ok" else ""


def _warm_ups(results: Results) -> list[str]:
    """Seconds before a library's first sample of training, which no other figure counts."""
    threads = results.threads[-1]
    rows = [row for row in results.workloads if isinstance(row.spec, TrainSpec | SweepSpec) and row.id.startswith("W")]
    measured = {row.key: results.of(row.key, threads) for row in rows}
    names = [name for name in results.peers if any(_has(found.get(name)) for found in measured.values())]
    if not names:
        return []
    lines = [_row(["workload", *names]), _row(["---"] + ["---:"] * len(names))]
    for row in rows:
        found = (measured[row.key].get(name) for name in names)
        lines.append(_row([row.title, *(duration(m.warm_up) if m is not None and _has(m) else "" for m in found)]))
    title = f"## Warm-up, {on_threads(threads)}"
    return [title, "Import where it is the first row, build, compile, and one run; the samples come after it.", "\n".join(lines)]


def _gaps(results: Results) -> list[str]:
    """Who is missing, and what failed."""
    missing = {m.peer: m.why for m in results.measurements if m.status == "missing"}
    failed = {(m.peer, m.workload): m.why for m in results.measurements if m.status == "failed"}
    differ = {(m.peer, m.workload) for m in results.measurements if m.agrees is False}
    lines = [f"* {peer} is missing: {why}." for peer, why in missing.items()]
    lines += [f"* {peer} failed on {workload}: {why}." for (peer, workload), why in failed.items()]
    lines += [f"* {peer} on {workload}: its result differs from the others'." for peer, workload in sorted(differ)]
    return ["## Gaps", "\n".join(lines)] if lines else []


def _peers(results: Results) -> str:
    lines = [_row(["peer", "versions", "note"]), _row(["---"] * 3)]
    lines += [_row([name, about["version"], about["note"]]) for name, about in results.peers.items()]
    return "## Peers\n\n" + "\n".join(lines)


def summary(results: Results) -> str:
    """Lines for the screen: fastnn beside the fastest other one."""
    lines = [where(results), ""]
    for threads in results.threads:
        lines.append(f"{on_threads(threads)}{'':31}{'fastnn':>16}  {'fastest peer':>16}  {'ratio':>6}")
        for row in results.workloads:
            found = results.of(row.key, threads)
            best = fastest(found)
            ours = found.get(OURS)
            if ours is None or ours.status != "ok":
                continue
            against = ratio(best, ours) if best is not None else None
            other = f"{figure(best):>16}  {against:5.2f}x  {best.peer}" if best is not None and against is not None else ""
            lines.append(f"  {row.key:38}{figure(ours):>16}  {other}{marks(ours)}")
    geometric = geometric_mean(results)
    return "\n".join(lines) + (f"\n\n{geometric}" if geometric else "")


def geometric_mean(results: Results) -> str:
    """The peers' times over fastnn's, over all workloads that both ran: the fastest peer in each."""
    ratios = []
    for row in results.workloads:
        for threads in results.threads:
            found = results.of(row.key, threads)
            best = fastest(found)
            against = None if best is None else ratio(best, found.get(OURS))
            if against:
                ratios.append(against)
    if not ratios:
        return ""
    mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return f"the fastest peer needs {mean:.2f} times what fastnn needs: geometric mean of {len(ratios)} measurements"


def listing(workloads: Sequence[Workload], peers: Sequence[Peer]) -> str:
    """The table of workloads and the peers, with what is missing."""
    lines = [f"{row.key:44} {row.title}" for row in workloads]
    lines += ["", *(f"{peer.name:24} {peer.missing() or 'ready'}" for peer in peers)]
    return "\n".join(lines)
