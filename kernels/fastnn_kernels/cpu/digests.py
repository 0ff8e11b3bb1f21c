"""What a unit's object depends on: the source it reaches, and what Numba compiles for. Without importing Numba.

The walk goes by names: a definition reaches every top-level definition of these files whose name appears in it. So editing one
kernel, or adding an instruction, recompiles no other.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import os
import platform
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm

from fastnn_kernels.cpu.adapters import INTERPRETER, adapter_source, split_unit
from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.system import keep_newest, write_atomically

CPU_FOLDER = Path(__file__).parent
INSTRUCTION_FILE = CPU_FOLDER.parent / "instructions.py"

TABLE, COMPILER, ADAPTERS = "kernels.py", "compiler.py", "adapters.py"
HOST_FILES = frozenset({"__init__.py", TABLE, COMPILER, ADAPTERS, "digests.py", "objects.py", "elf.py", "team.py", "execute.py"})
"""Files of the folder that no kernel reaches."""

NUMBA_VARIABLES = ("CPU_NAME", "CPU_FEATURES", "ENABLE_AVX", "OPT", "LOOP_VECTORIZE", "SLP_VECTORIZE", "BOUNDSCHECK", "DEBUGINFO")


def digest_of(*parts: str) -> str:
    """32 hexadecimal digits that differ when any part differs."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part.encode()
        state.update(len(data).to_bytes(8, "little") + data)
    return state.hexdigest()


def environment() -> tuple[str, ...]:
    """What else changes the code: the machine, Python, Numba, llvmlite, and the variables that steer Numba."""
    found = importlib.util.find_spec("numba")
    version = Path(found.origin).with_name("_version.py") if found and found.origin else None
    features = llvm.get_host_cpu_features()
    return (
        f"{sys.platform} {platform.machine()} {sys.implementation.cache_tag}",
        version.read_text() if version and version.exists() else "",
        llvmlite.__version__,
        llvm.get_host_cpu_name(),
        features.flatten(),
        *(os.environ.get(f"NUMBA_{name}", "") for name in NUMBA_VARIABLES),
    )


def read_sources() -> dict[str, str]:
    """Every source file that can change an object, by its path below the folder of the kernels."""
    paths = [*sorted(CPU_FOLDER.rglob("*.py")), INSTRUCTION_FILE]
    return {os.path.relpath(path, CPU_FOLDER): path.read_text(encoding="utf-8") for path in paths}


def unit_digests(units: Iterable[str], directory: Path | None) -> dict[str, str]:
    """The digest of every unit; what the sources give is remembered in ``directory``, so that most processes parse none."""
    sources, units = read_sources(), list(units)
    index = None if directory is None else directory / f"sources-{digest_of(*sources, *sources.values())}.json"
    known = _read_index(index)
    if not known.keys() >= set(units):
        graph = SourceGraph(sources)
        known.update({unit: graph.digest(unit) for unit in units if unit not in known})
        _write_index(index, known)
    surroundings = environment()
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


class SourceGraph:
    """The top-level definitions of the kernels' sources, by the names that reach them."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources
        self.definitions: dict[str, list[tuple[str, frozenset[str]]]] = defaultdict(list)
        for path, text in sources.items():
            if Path(path).name not in HOST_FILES:
                for names, segment, uses in _definitions(text):
                    for name in names:
                        self.definitions[name].append((segment, uses))
        self.roots = _table_roots(sources.get(TABLE, ""))

    def digest(self, unit: str) -> str:
        """Digest of all source text that ``unit`` is compiled from."""
        text, roots = "", frozenset({"run"})
        if unit != INTERPRETER:
            op, dtype = split_unit(unit)
            text = adapter_source(INSTRUCTIONS[op], dtype)
            roots = _identifiers(ast.parse(text)) | self.roots.get(op, self.roots[""])
        return digest_of(unit, self.sources.get(COMPILER, ""), text, *sorted(self._reach(roots)))

    def _reach(self, names: Iterable[str]) -> set[str]:
        seen, queue, segments = set(), set(names) | {"OPTIONS"}, set()
        while queue:
            name = queue.pop()
            seen.add(name)
            for segment, uses in self.definitions.get(name, ()):
                segments.add(segment)
                queue |= uses - seen
        return segments


def _identifiers(node: ast.AST) -> frozenset[str]:
    names = (getattr(part, "id", None) or getattr(part, "attr", None) for part in ast.walk(node))
    return frozenset(name for name in names if isinstance(name, str))


def _bound(node: ast.stmt) -> Iterator[str]:
    """The names a top-level statement defines, and those by whose mention it acts (``@overload(name)``, a bare call)."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call):
                yield from (name for argument in decorator.args for name in _identifiers(argument))
    elif isinstance(node, ast.Expr):
        yield from _identifiers(node)
    else:
        yield from (part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store))


def _definitions(text: str) -> Iterator[tuple[set[str], str, frozenset[str]]]:
    """``(names, source, identifiers)`` of every top-level statement."""
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            origin = getattr(node, "module", "")
            for alias in node.names:
                yield {alias.asname or alias.name}, f"{origin} {alias.name}", frozenset({alias.name})
            continue
        first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
        yield set(_bound(node)), "\n".join(lines[first - 1 : node.end_lineno]), _identifiers(node)


def _table_roots(text: str) -> dict[str, frozenset[str]]:
    """From a literal table ``KERNELS = {"op": kernel, ...}`` the names in each entry; under "" those of the whole file."""
    tree = ast.parse(text)
    roots = {"": _identifiers(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str):
                    roots[key.value] = _identifiers(value)
    return roots
