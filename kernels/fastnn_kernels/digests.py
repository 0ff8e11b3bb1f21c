"""What a unit depends on: the source it is compiled from, and what surrounds it. Without importing Numba."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from fastnn_kernels.sources import SourceGraph, Target
from fastnn_kernels.system import keep_newest, write_atomically


def digest_of(*parts: str) -> str:
    """32 hexadecimal digits that differ when any part differs."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


def unit_digests(
    target: Target, units: Iterable[str], surroundings: Iterable[str], directory: Path | None, *, keep: bool = True
) -> dict[str, str]:
    """The digest of every unit of ``target``; an index in ``directory``, written if ``keep``, spares most processes the parsing."""
    sources, units = target.read_sources(), list(units)
    index = None if directory is None else directory / f"sources-{digest_of(*sources, *sources.values())}.json"
    known = _read_index(index)
    if not known.keys() >= set(units):
        graph = SourceGraph(sources, target)
        known.update({unit: digest_of(unit, *graph.digest_parts(unit)) for unit in units if unit not in known})
        _write_index(index if keep else None, known)
    surroundings = list(surroundings)
    return {unit: digest_of(known[unit], *surroundings) for unit in units}


def _read_index(path: Path | None) -> dict[str, str]:
    try:
        index = json.loads(path.read_text()) if path else {}
    except (OSError, ValueError):
        return {}
    valid = isinstance(index, dict) and all(isinstance(value, str) and len(value) == 32 for value in index.values())
    return index if valid else {}


def _write_index(path: Path | None, index: dict[str, str]) -> None:
    if path is None:
        return
    with suppress(OSError):  # the next process parses again
        write_atomically(path, json.dumps(index, sort_keys=True).encode())
        keep_newest(path.parent, "sources-*.json")
