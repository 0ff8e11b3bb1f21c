"""The memory of this process, as its system counts it."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What `CLEAR` takes to forget the peak; see proc(5)."""


def reset_peak() -> None:
    """Let `peak` count from now on; it goes on counting from the start where the system cannot."""
    with suppress(OSError):
        CLEAR.write_text(RESET_PEAK)


def peak() -> int:
    """The most bytes that were resident."""
    try:
        return _status("VmHWM")
    except (OSError, KeyError):
        import resource

        largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return largest if sys.platform == "darwin" else largest * 1024


def resident() -> int:
    """The bytes that are resident now; `peak` where the system does not tell."""
    try:
        return _status("VmRSS")
    except (OSError, KeyError):
        return peak()


def _status(name: str) -> int:
    lines = (line.split(":", 1) for line in STATUS.read_text().splitlines())
    return 1024 * int(dict(lines)[name].split()[0])
