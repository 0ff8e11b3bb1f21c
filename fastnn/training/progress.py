"""Progress on the screen: Keras's bar, live where the stream can go back to the start of a line, plain lines elsewhere."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TextIO

from fastnn.callbacks.base import Callback, Logs

WIDTH = 20
INTERVAL = 0.05
"""Seconds between two frames of a live bar."""

LOG_INTERVAL = 5.0
"""Seconds between two lines about a compilation, where lines cannot be drawn over."""

NOTEBOOKS = ("ipykernel", "google.colab", "spyder_kernels")
"""Packages whose output streams are no terminals but understand a carriage return and colours."""


@dataclass(frozen=True, slots=True)
class Display:
    """What a stream can show: frames drawn over each other, colours, the two halves of a bar, columns (None: any)."""

    live: bool
    colour: bool
    done: str
    left: str
    columns: int | None

    def bold(self, text: str) -> str:
        """``text`` in bold where there are colours."""
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text


def display_of(stream: Any) -> Display:
    """What ``stream`` can show."""
    module = type(stream).__module__ or ""
    notebook = module.startswith(NOTEBOOKS)
    terminal = not notebook and bool(getattr(stream, "isatty", bool)()) and os.environ.get("TERM") != "dumb"
    live = notebook or (terminal and not module.startswith("idlelib")) or _is_editor_console(stream)
    old_windows = sys.platform == "win32" and terminal and not {"WT_SESSION", "ANSICON", "TERM"} & set(os.environ)
    colour = live and not old_windows and not os.environ.get("NO_COLOR")
    line = _can_encode(stream, "━")
    done, left = ("━", "━" if colour else "─") if line else ("=", "=" if colour else ".")
    return Display(live, colour, done, left, shutil.get_terminal_size().columns if terminal else None)


def _is_editor_console(stream: Any) -> bool:
    """PyCharm's console is a pipe that shows a terminal; a file it redirects to is not."""
    if "PYCHARM_HOSTED" not in os.environ:
        return False
    try:
        return not stat.S_ISREG(os.fstat(stream.fileno()).st_mode)
    except (AttributeError, OSError, ValueError):
        return False


def _can_encode(stream: Any, text: str) -> bool:
    try:
        text.encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def format_values(values: Mapping[str, float]) -> str:
    """`` - name: value`` for each, four digits after the point, small values in scientific notation.

    >>> format_values({"loss": 0.25, "mae": 0.0001})
    ' - loss: 0.2500 - mae: 1.0000e-04'
    """
    return "".join(f" - {name}: {value:.4f}" if abs(value) > 1e-3 else f" - {name}: {value:.4e}" for name, value in values.items())


def format_step_time(seconds: float) -> str:
    """Seconds per step as Keras writes them.

    >>> format_step_time(0.0123), format_step_time(2.5e-06)
    ('12ms/step', '2us/step')
    """
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


def format_remaining(seconds: float) -> str:
    """Seconds still to go.

    >>> format_remaining(42.0), format_remaining(90), format_remaining(3700)
    ('42s', '1:30', '1:01:40')
    """
    whole = int(seconds)
    if whole > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole > 60 else f"{whole}s"


def fold(info: str, room: int, indent: int, columns: int) -> tuple[str, str]:
    """What of ``info`` fits into ``room``, and the lines with the other values, none broken.

    >>> fold(" 2ms/step - loss: 1.0000 - mae: 1.0000 - val_loss: 2.0000", 24, 3, 40)
    (' 2ms/step - loss: 1.0000', '\\n    - mae: 1.0000 - val_loss: 2.0000')
    """
    lines, room_left = [""], room
    for part in info.replace(" - ", "\0 - ").split("\0"):
        if len(part) > room_left and lines[-1].strip():
            lines.append(" " * indent)
            room_left = columns - 1 - indent
        lines[-1] += part
        room_left -= len(part)
    return lines[0], "".join(f"\n{line}" for line in lines[1:])


class ProgressBar:
    """One bar of ``steps`` steps; ``verbose`` 1 draws it, 2 writes one line at the end."""

    def __init__(self, steps: int, verbose: int, stream: TextIO | None = None) -> None:
        self.steps, self.verbose = steps, verbose
        self.stream: Any = sys.stdout if stream is None else stream
        self.display = display_of(self.stream)
        self.start = time.perf_counter()
        self._drawn = 0.0
        self._length = 0

    def due(self) -> bool:
        """Whether it is time for the next frame."""
        return self.verbose == 1 and self.display.live and time.perf_counter() - self._drawn >= INTERVAL

    def update(self, step: int, values: Mapping[str, float]) -> None:
        """Draw a frame of a live bar."""
        self._drawn = time.perf_counter()
        elapsed = self._drawn - self.start
        remaining = format_remaining(elapsed / max(step, 1) * (self.steps - step))
        self._write(step, remaining, elapsed, values, end="")

    def finish(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Write the last line; ``step`` when the run ended early."""
        elapsed = time.perf_counter() - self.start
        self._write(self.steps if step is None else step, f"{elapsed:.0f}s", elapsed, values, end="\n")
        self._length = 0

    def close(self) -> None:
        """End the line that a live bar has begun, when the run does not come to its end."""
        if self._length:
            self._length = 0
            self._print("\n")

    def _write(self, step: int, seconds: str, elapsed: float, values: Mapping[str, float], end: str) -> None:
        count = f"{step:{len(str(self.steps))}d}/{self.steps}"
        rate = format_step_time(elapsed / step if step else 0.0)
        if self.verbose == 2:
            self._print(f"{count} - {seconds} - {rate}{format_values(values)}{end}")
            return
        display, done = self.display, WIDTH * step // max(self.steps, 1)
        info, more = f" {rate}{format_values(values)}", ""
        length = len(f"{count} {seconds} ") + WIDTH + len(info)
        if display.columns and length >= display.columns:
            room = max(0, len(info) - (length - display.columns + 1))
            if end:
                info, more = fold(info, room, len(count), display.columns)
            else:  # a line that wraps cannot be drawn over
                info = info[:room]
            length = len(f"{count} {seconds} ") + WIDTH + len(info)
        bar, rest = display.done * done, display.left * (WIDTH - done)
        if display.colour:
            bar, rest = f"\x1b[32m{bar}\x1b[0m" if bar else "", f"\x1b[37m{rest}\x1b[0m"
        padding = " " * max(0, self._length - length)
        back = "\r" if display.live else ""
        self._length = length
        self._print(f"{back}{display.bold(count)} {bar}{rest} {display.bold(seconds)}{info}{padding}{more}{end}")

    def _print(self, text: str) -> None:
        if self.stream is not None:
            self.stream.write(text)
            self.stream.flush()


class ProgressLogger(Callback):
    """Draws the bars of ``fit``, ``evaluate`` and ``predict``; between engine calls the trainer calls `tick`."""

    def __init__(self) -> None:
        self.bar: ProgressBar | None = None
        self._in_fit = False

    def _open(self) -> None:
        assert self.params is not None
        self.bar = ProgressBar(self.params["steps"], self.params["verbose"])

    def on_train_begin(self, logs: Logs = None) -> None:
        self._in_fit = True

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        self._open()
        assert self.bar is not None
        assert self.params is not None
        if self.params["epochs"] > 1:
            self.bar._print(f"Epoch {epoch + 1}/{self.params['epochs']}\n")

    def tick(self, step: int, values: Callable[[], Mapping[str, float]]) -> None:
        """``step`` steps are done; ``values()`` is asked only when a frame is drawn."""
        if self.bar is not None and step < self.bar.steps and self.bar.due():
            self.bar.update(step, values())

    def tick_test(self, step: int, values: Callable[[], Mapping[str, float]]) -> None:
        """`tick` of ``evaluate``; the validation in ``fit`` is silent."""
        if not self._in_fit:
            self.tick(step, values)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        self._finish(logs)

    def on_test_begin(self, logs: Logs = None) -> None:
        if not self._in_fit:
            self._open()

    def on_test_end(self, logs: Logs = None) -> None:
        if not self._in_fit:
            self._finish(logs)

    def on_predict_begin(self, logs: Logs = None) -> None:
        self._open()

    def on_predict_end(self, logs: Logs = None) -> None:
        self._finish(logs)

    def _finish(self, logs: Logs) -> None:
        if self.bar is not None:
            self.bar.finish(logs or {})
            self.bar = None

    def close(self) -> None:
        """End a bar that is being drawn."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class CompileProgress:
    """Tells of a compilation that takes longer than ``patience`` seconds; handed to ``engine.prepare``.

    On stderr, whatever ``verbose`` is: the output of a program stays its own, and no program seems to hang.
    """

    def __init__(self, stream: TextIO | None = None, patience: float = 1.0) -> None:
        self.stream: Any = sys.stderr if stream is None else stream
        self.patience = patience
        self._state = (0, 0, "")
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._length = 0
        self._told: float | None = None

    def __call__(self, done: int, total: int, what: str) -> None:
        """``done`` of ``total`` kernels are compiled; ``what`` comes next."""
        self._state = done, total, what
        if self._timer is None:  # one kernel may take seconds: the first line does not wait for its end
            self.start = time.perf_counter()
            self._live = display_of(self.stream).live
            self._timer = threading.Timer(self.patience, self._tell)
            self._timer.daemon = True
            self._timer.start()
        elif time.perf_counter() - self.start >= self.patience:
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            now, (done, total, what) = time.perf_counter(), self._state
            if done < total and (self._live or self._told is None or now - self._told >= LOG_INTERVAL):
                self._told = now
                self._print(f"compiling kernels for this machine, once: {done}/{total} {what}", end="" if self._live else "\n")

    def close(self) -> None:
        """Say how long it took, if anything was said."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer.join()
        if self._told is not None:
            done, total, _ = self._state
            number = ("1 kernel" if total == 1 else f"{total} kernels") if done == total else f"{done} of {total} kernels"
            self._print(f"{number} for this machine ready in {time.perf_counter() - self.start:.1f}s", end="\n")

    def _print(self, text: str, end: str) -> None:
        if self.stream is not None:
            self.stream.write(f"\r{text:<{self._length}}{end}" if self._live else text + end)
            self.stream.flush()
            self._length = len(text)
