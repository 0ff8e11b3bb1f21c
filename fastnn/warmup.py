"""``python -m fastnn warmup``: compile every kernel now, so that no program waits for it later."""

from __future__ import annotations

import sys
import time

from fastnn_kernels import store
from fastnn_kernels.cpu import objects, prebuilt

from fastnn.engine import select


def show(done: int, total: int, unit: str) -> None:
    """One line a kernel: it reads well in a terminal and in the log of a container's build."""
    if unit:
        print(f"compiling {done + 1:3}/{total}  {unit}", flush=True)


def summary() -> str:
    """What came prebuilt, what this process compiled and what it read from the cache."""
    report = objects.report()
    came = f"{len(report.prebuilt)} prebuilt for {prebuilt.level()}, " if report.prebuilt else ""
    taken = f" in {report.seconds:.1f} s" if report.compiled else ""
    where = f" from {report.directory}" if report.directory else " (no cache directory)" if report.compiled else ""
    return f"{came}{len(report.compiled)} compiled{taken}, {len(report.cached)} read{where}"


def warm_up(device: str) -> int:
    """Compile what the cache lacks for ``device``; exit status 1 if it cannot be kept, 2 if there is no such device."""
    start = time.perf_counter()
    try:
        engine = select.get(device)
    except (RuntimeError, ValueError) as error:
        print(f"python -m fastnn warmup: {error}", file=sys.stderr)
        return 2
    units = engine.units()
    engine.load(units, show)
    report = objects.report()  # the CPU's
    told = summary() if report.compiled or report.cached or report.prebuilt else f"{len(units)} for device {device}"
    print(f"kernels: {told}; {time.perf_counter() - start:.1f} s")
    return 0 if set(units) <= set(report.prebuilt) or store.directory() else 1
