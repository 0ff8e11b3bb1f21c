"""``python -m fastnn_kernels.cpu.prebuilt``: compile units for every level, in a process each, for a wheel."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import llvmlite.binding as llvm

from fastnn_kernels import store
from fastnn_kernels.cpu.digests import NUMBA_VARIABLES, SUFFIX
from fastnn_kernels.cpu.prebuilt import LEVELS, PROCESSOR, fits, flags, unit_digests
from fastnn_kernels.units import all_units


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fastnn_kernels.cpu.prebuilt", description="Compile kernels for a wheel.")
    parser.add_argument("units", nargs="*", help="names of units (default: all)")
    parser.add_argument("--level", choices=list(LEVELS), help="of the instruction set (default: every one)")
    parser.add_argument("--folder", type=Path, default=Path("build/prebuilt"), help="where to put them (default: %(default)s)")
    chosen = parser.parse_args(arguments)
    if unknown := set(chosen.units) - set(all_units()):
        parser.error(f"there is no unit {', '.join(sorted(unknown))}")
    if not fits(llvm.get_process_triple()):
        parser.error(f"objects are compiled on x86-64 Linux, this is {llvm.get_process_triple()}")
    if chosen.level:
        build(chosen.level, chosen.units or all_units(), chosen.folder)
        return 0
    processes = [start(level, chosen.units, chosen.folder) for level in LEVELS]
    statuses = [process.wait() for process in processes]
    return int(any(statuses))


def start(level: str, units: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """A process that builds one level: what Numba compiles for cannot be changed once it is imported."""
    path = os.pathsep.join(path for path in sys.path if path)
    command = [sys.executable, "-m", "fastnn_kernels.cpu.prebuilt", "--level", level, "--folder", str(folder), *units]
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path})


def build(level: str, units: Sequence[str], folder: Path) -> None:
    """Compile ``units`` for ``level``, whose folder then holds them and nothing else; it is there when all are."""
    for name in NUMBA_VARIABLES:
        os.environ.pop(f"NUMBA_{name}", None)
    os.environ.update(NUMBA_CPU_NAME=PROCESSOR, NUMBA_CPU_FEATURES=flags(level))
    from fastnn_kernels.cpu import compiler, objects

    home, partial = folder / level, folder / f"partial-{level}"
    for old in (home, partial):
        shutil.rmtree(old, ignore_errors=True)
    partial.mkdir(parents=True)
    for done, (unit, digest) in enumerate(unit_digests(level, units, partial, keep=True).items(), start=1):
        print(f"{level}  {done:2}/{len(units)}  {unit}", flush=True)
        data = objects.checked(compiler.compile_object(unit), unit)
        (partial / f"{unit}-{digest}{SUFFIX}").write_bytes(store.header(unit, digest, data) + data)
    partial.rename(home)


if __name__ == "__main__":
    sys.exit(main())
