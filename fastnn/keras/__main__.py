"""``python -m fastnn.keras script.py [arguments]``: run a Keras program on fastnn."""

from __future__ import annotations

import os
import runpy
import sys

from fastnn.keras import install

USAGE = """usage: python -m fastnn.keras script.py [arguments]

Runs script.py with `keras` and `tensorflow` leading to fastnn; see the documentation of fastnn.keras."""


def main(arguments: list[str]) -> int:
    """Run the script ``arguments[0]`` as Python would, with the rest as its arguments."""
    if not arguments or arguments[0].startswith("-"):
        asked = arguments[:1] in (["-h"], ["--help"])
        print(USAGE, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    script = arguments[0]
    if not os.path.exists(script):
        print(f"python -m fastnn.keras: no such file: {script}", file=sys.stderr)
        return 2
    install()
    sys.argv[:] = arguments
    if not sys.flags.safe_path:  # python -P
        sys.path[0] = os.path.dirname(os.path.abspath(script))
    runpy.run_path(script, run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
