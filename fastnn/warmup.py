"""``python -m fastnn warmup``: compile every kernel now, so that no program waits for it later."""

from __future__ import annotations

import time

from fastnn_kernels.cpu import objects
from fastnn_kernels.cpu.adapters import INTERPRETER, unit_name
from fastnn_kernels.instructions import INSTRUCTIONS

from fastnn.config import FLOAT_TYPES


def units() -> list[str]:
    """Everything that can be compiled: the interpreter, and each instruction for each float type."""
    return list(dict.fromkeys([INTERPRETER, *(unit_name(op, dtype) for dtype in FLOAT_TYPES for op in INSTRUCTIONS)]))


def show(done: int, total: int, unit: str) -> None:
    """One line a kernel: it reads well in a terminal and in the log of a container's build."""
    if unit:
        print(f"compiling {done + 1:3}/{total}  {unit}", flush=True)


def summary() -> str:
    """What this process compiled and what it read from the cache."""
    report = objects.report()
    taken = f" in {sum(report.compiled.values()):.1f} s" if report.compiled else ""
    where = f"from {report.directory}" if report.directory else "(no cache directory)"
    return f"{len(report.compiled)} compiled{taken}, {len(report.cached)} read {where}"


def warm_up() -> int:
    """Compile what the cache lacks; exit status 1 if it cannot be kept."""
    start = time.perf_counter()
    objects.load(units(), show)
    print(f"kernels: {summary()}; {time.perf_counter() - start:.1f} s")
    return 0 if objects.report().directory else 1
