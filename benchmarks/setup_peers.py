"""Make ``.venv-peers``: fastnn itself and, one after the other, the libraries it is compared with; says what it could not get.

``make bench-peers``, or ``python benchmarks/setup_peers.py [FOLDER]``. About 4 GB on disk. Runs again where it was interrupted.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent
REQUIREMENTS = Path(__file__).parent / "requirements-peers.txt"


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


def main(folder: Path) -> int:
    """Install everything; 1 when fastnn itself could not be installed."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        venv.create(folder, with_pip=True)
    failed = {}
    for requirements in (["--editable", ".[bench,plot]"], *groups(REQUIREMENTS.read_text())):
        name, start = " ".join(requirements), time.perf_counter()
        print(f"{name:28}", end=" ", flush=True)
        reason = install(python, requirements)
        print(f"{time.perf_counter() - start:5.0f} s" if reason is None else f"missing: {reason}", flush=True)
        if reason is not None:
            failed[name] = reason
    print(f"\n{python} -m benchmarks   compares with all of them" if not failed else f"\nnot installed: {', '.join(failed)}")
    return int("--editable .[bench,plot]" in failed)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".venv-peers")))
