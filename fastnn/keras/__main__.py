"""``python -m fastnn.keras script.py [arguments]``: run a Keras program on fastnn."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any

from fastnn.keras import install

USAGE = """usage: python -m fastnn.keras script.py [arguments]

Runs script.py with `keras` and `tensorflow` leading to fastnn. More: python -m pydoc fastnn.keras"""


def excepthook(script: str, display: Callable[..., Any]) -> Callable[..., Any]:
    """``display`` for tracebacks that begin in ``script``, without the frames of this module and of ``runpy``."""

    def hook(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        first = traceback
        while first and not first.tb_frame.f_code.co_filename.startswith(script):
            first = first.tb_next
        if first or isinstance(error, SyntaxError):  # a script that is no Python has no frame
            error, traceback = error.with_traceback(first), first
        display(kind, error, traceback)

    return hook


def main(arguments: list[str]) -> int:
    """Run the script ``arguments[0]`` as Python would, with the rest as its arguments."""
    if not arguments or arguments[0].startswith("-"):
        asked = arguments[:1] in (["-h"], ["--help"])
        print(USAGE, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    script = arguments[0]
    if not os.path.isfile(script) and not os.path.isfile(os.path.join(script, "__main__.py")):
        print(f"python -m fastnn.keras: no such file: {script}", file=sys.stderr)
        return 2
    install()
    sys.excepthook = excepthook(script, sys.excepthook)
    sys.argv[:] = arguments
    if not sys.flags.safe_path:  # python -P
        sys.path[0] = os.path.dirname(os.path.abspath(script))
    sys.path.insert(1, os.path.join(os.path.dirname(__file__), "spawned"))
    runpy.run_path(script, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
