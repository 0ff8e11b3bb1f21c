"""The cache directory: what was compiled, a file for each unit and digest, whole and ours or not read at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from fastnn_kernels import system
from fastnn_kernels.warn import warn

FORMAT = "fastnn-object 1"

SUFFIXES = {".o", ".cubin"}
"""How the names of files for a CPU and for a GPU end."""

_warned = False


def directory() -> Path | None:
    """The cache directory, made if need be; None, with one warning a process, where that is impossible."""
    path = system.cache_directory()
    try:
        if path is None:
            raise OSError("this user has no home directory")
        system.private_directory(path)
        return path
    except OSError as error:
        _warn(path, error)
        return None


def _warn(path: Path | None, error: OSError) -> None:
    global _warned
    if not _warned:
        _warned = True
        where = f"{path} cannot be used" if path else "no place is known"
        advice = "compiled kernels are kept for this process only; set FASTNN_CACHE_DIR to a directory that you alone can write"
        warn(f"the cache of compiled kernels: {where} ({error}); {advice}", RuntimeWarning)


@contextmanager
def locks(folder: Path | None) -> Iterator[Callable[[str, bool], AbstractContextManager[None]]]:
    """``lock(digest, patient)``: for a block in which no other process makes what the cache directory is to have by this digest."""
    with system.locks(None if folder is None else folder / ".lock") as lock:
        yield lambda digest, patient: lock(int(digest[:15], 16), patient)


def kept(folder: Path) -> list[Path]:
    """The files of every target in a cache directory, which need not exist."""
    return sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)


def header(unit: str, digest: str, data: bytes) -> bytes:
    """The line before the data, which tells what it is and proves that it is whole."""
    checksum = hashlib.blake2b(data, digest_size=32).hexdigest()
    return f"{FORMAT} {unit} {digest} {checksum}\n".encode()


def whole(folder: Path, unit: str, digest: str, suffix: str) -> bytes | None:
    """What ``folder`` has of the unit; None when there is nothing, or it is not whole or not ours."""
    try:
        content = (folder / f"{unit}-{digest}{suffix}").read_bytes()
    except OSError:
        return None
    first_line, newline, data = content.partition(b"\n")
    return data if first_line + newline == header(unit, digest, data) else None


def read(folder: Path | None, unit: str, digest: str, suffix: str) -> bytes | None:
    """What was kept of the unit; None, and the file is deleted, when it is not whole or not ours."""
    if folder is None:
        return None
    data = whole(folder, unit, digest, suffix)
    if data is None:
        with suppress(OSError):
            (folder / f"{unit}-{digest}{suffix}").unlink()
    return data


def write(folder: Path | None, unit: str, digest: str, suffix: str, data: bytes) -> None:
    """Keep ``data``, and the newest few of the unit's older ones."""
    if folder is None:
        return
    try:
        system.write_atomically(folder / f"{unit}-{digest}{suffix}", header(unit, digest, data) + data)
    except OSError as error:
        _warn(folder, error)
        return
    system.keep_newest(folder, f"{unit}-{'?' * len(digest)}{suffix}")
