"""Make ``.venv-peers``: fastnn itself and, one after the other, the libraries it is compared with; says what it could not get.

``make bench-peers``, or ``python benchmarks/setup_peers.py [--cuda] [FOLDER]``. About 4 GB on disk; with ``--cuda`` the libraries
are those for an NVIDIA GPU (driver 580 or newer), some 12 GB. Runs again where it was interrupted.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
REQUIREMENTS = {name: Path(__file__).parent / f"requirements-peers{name}.txt" for name in ("", "-cuda")}


def groups(text: str) -> list[list[str]]:
    """The requirements of each line; comments and empty lines left out."""
    lines = (line.split("#")[0].split() for line in text.splitlines())
    return [line for line in lines if line]


def install(python: Path, requirements: list[str]) -> str | None:
    """Install ``requirements`` together; None, or the last line of what pip said."""
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ended.returncode == 0:
        return None
    errors = [line for line in ended.stderr.splitlines() if line.startswith("ERROR")] or ended.stderr.splitlines()
    return errors[-1] if errors else f"pip ended with {ended.returncode}"


def main(folder: Path, cuda: bool = False) -> int:
    """Install everything; 1 when fastnn itself could not be installed."""
    ours = ["--editable", ".[bench,plot,cuda13]" if cuda else ".[bench,plot]"]
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    failed = {}
    for requirements in (ours, *groups(REQUIREMENTS["-cuda" * cuda].read_text())):
        name, start = " ".join(requirements), time.perf_counter()
        print(f"{name:28}", end=" ", flush=True)
        reason = install(python, requirements)
        print(f"{time.perf_counter() - start:5.0f} s" if reason is None else f"missing: {reason}", flush=True)
        if reason is not None:
            failed[name] = reason
    command = f"{python} -m benchmarks{' --device cuda' * cuda}"
    print(f"\nnot installed: {', '.join(failed)}" if failed else f"\n{command}   compares with all of them")
    return int(" ".join(ours) in failed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / ".venv-peers")
    parser.add_argument("--cuda", action="store_true", help="the libraries for an NVIDIA GPU")
    chosen = parser.parse_args()
    sys.exit(main(chosen.folder, chosen.cuda))
