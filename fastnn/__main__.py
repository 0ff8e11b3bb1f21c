"""``python -m fastnn demo | info | warmup | selftest | bench``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence

from fastnn_kernels.cpu import prebuilt

from fastnn import __version__
from fastnn.config import device
from fastnn.engine import select

INTERRUPTED = 130
"""The exit status of a program that Ctrl-C ended, as shells give it: 128 and the number of SIGINT."""


def new_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(prog="python -m fastnn", description="Keras's Dense/Sequential on Numba-compiled kernels.")
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    demo = commands.add_parser("demo", help="train a classifier on handwritten digits and draw its learning curves")
    demo.add_argument("--epochs", type=int, default=40, help="epochs to train (default: %(default)s)")
    demo.add_argument("--output", default="learning_curves.png", help="the picture to write (default: %(default)s)")
    commands.add_parser("info", help="versions, what was chosen for this CPU, threads, caches, GPU, and what a GPU would need")
    warmup = commands.add_parser("warmup", help="compile all kernels now and keep them (in FASTNN_CACHE_DIR, where that is set)")
    selftest = commands.add_parser("selftest", help="hold every instruction on a device to the reference, then train there")
    for command in (warmup, selftest):
        command.add_argument("--device", help="cpu, cuda or reference (default: FASTNN_DEVICE, or cpu)")
    commands.add_parser("bench", help="time fastnn beside NumPy on this machine, in less than a minute")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    parser = new_parser()
    chosen = parser.parse_args(arguments)
    if chosen.command is None:
        parser.print_help()
        return 0
    try:
        return run(chosen)
    except KeyboardInterrupt:
        print(f"\npython -m fastnn {chosen.command}: interrupted", file=sys.stderr)
        return INTERRUPTED


def run(chosen: argparse.Namespace) -> int:
    """Run the command that was chosen."""
    if chosen.command == "info":
        from fastnn.info import report

        print(report())
        return 0
    try:
        name = getattr(chosen, "device", None) or device()
        select.get(name)
        prebuilt.level()
    except (RuntimeError, ValueError) as error:
        print(f"python -m fastnn {chosen.command}: {error}", file=sys.stderr)
        return 2
    if chosen.command == "demo":
        from fastnn.demo import run as demo

        return demo(chosen.epochs, chosen.output)
    if chosen.command == "warmup":
        from fastnn.warmup import warm_up

        return warm_up(name)
    if chosen.command == "selftest":
        from fastnn.selftest import run as selftest

        return selftest(name)
    from fastnn.bench.short import run as bench

    return bench()


def run_in_shell() -> int:
    """`main`; when the reader of the output has gone, as in ``| head``, it ends quietly with status 1.

    Ctrl-C ends the process by its signal, as it ends Python: a shell's loop around the command ends as well.
    """
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 1
    if status == INTERRUPTED and os.name == "posix":
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return status


if __name__ == "__main__":
    sys.exit(run_in_shell())
