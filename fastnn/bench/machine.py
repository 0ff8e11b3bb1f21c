"""What the numbers belong to."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

from fastnn_kernels.system import usable_cores


def describe() -> dict[str, Any]:
    """The machine in words and numbers; None for what the system does not tell."""
    return {
        "name": cpu_name(),
        "cores": usable_cores(),
        "memory_gb": memory_gb(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def cpu_name() -> str:
    """The processor's name, without marks and clock rates."""
    name = platform.processor() or platform.machine()
    try:
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        match = None
    if match:
        name = match.group(1)
    return " ".join(re.sub(r"\((R|TM)\)|\bCPU\b|\bProcessor\b|@.*", "", name).split())


def memory_gb() -> float | None:
    """Memory in GB."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (AttributeError, ValueError, OSError):
        return None
