"""Which source text a unit is compiled from: a static walk over the top-level definitions of the kernels' files.

A definition reaches what its names mean in its file: that file's own definitions, and those it imports from the package's other
files. So editing one kernel, or adding an instruction, recompiles no other. Registrations (``@overload(name)``, a bare call) count
as part of every name they are given.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fastnn_kernels.instructions import INSTRUCTIONS, Instruction
from fastnn_kernels.units import INTERPRETER, split_unit

Key = tuple[str, str]
"""A file, as its path below the package, and a name at its top level."""

PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Target:
    """Where a target's kernels are: its folder, the files there that no kernel reaches, and what units begin with."""

    folder: str
    host_files: tuple[str, ...]
    names: str
    """The file whose names the adapters use."""
    options: Key
    """What every unit is compiled with."""
    interpreter: Key
    adapter_source: Callable[[Instruction, str], str]

    @property
    def table(self) -> str:
        """The file of `KERNELS`."""
        return f"{self.folder}/kernels.py"

    def read_sources(self) -> dict[str, str]:
        """Every source file that can change what is compiled, by its path below the package."""
        paths = [PACKAGE / "instructions.py", *sorted((PACKAGE / self.folder).rglob("*.py"))]
        return {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in paths}


class SourceGraph:
    """The definitions of ``sources`` (text by path) and what each reaches."""

    def __init__(self, sources: dict[str, str], target: Target) -> None:
        self.sources, self.target = sources, target
        self.definitions: dict[Key, list[tuple[str, set[Key]]]] = defaultdict(list)
        self.modules: dict[Key, str] = {}  # a name that stands for a module, and the module's file
        self.originals: dict[Key, Key] = {}  # an imported name, and what it is in its own file
        self.roots: dict[str, set[Key]] = {}
        host_files = {f"{target.folder}/{name}.py" for name in target.host_files}
        trees = {path: ast.parse(text, path) for path, text in sources.items() if path not in host_files}
        for path, tree in trees.items():
            for node in _imports(tree):
                self._add_import(path, node)
        for key, origin in self.originals.items():
            if origin in self.modules:  # a module that another file imported for this one
                self.modules[key] = self.modules[origin]
        for path, tree in trees.items():
            self._add_definitions(path, tree)
        self._read_table(trees.get(target.table, ast.Module([], [])))

    def digest_parts(self, unit: str) -> list[str]:
        """All source text that ``unit`` is compiled from."""
        text, roots = "", {self.target.interpreter}
        if unit != INTERPRETER:
            op, dtype = split_unit(unit)
            text = self.target.adapter_source(INSTRUCTIONS[op], dtype)
            roots = self._meant(self.target.names, ast.parse(text)) | self.roots.get(unit, self.roots.get(op, self.roots[""]))
        compiler = self.sources.get(f"{self.target.folder}/compiler.py", "")
        return [compiler, text, *sorted(self._reach(roots | {self.target.options}))]

    def _reach(self, keys: Iterable[Key]) -> set[str]:
        seen: set[Key] = set()
        queue, segments = set(keys), set()
        while queue:
            key = queue.pop()
            seen.add(key)
            for segment, uses in self.definitions.get(key, ()):
                segments.add(segment)
                queue |= uses - seen
        return segments

    def _file_of(self, module: str) -> str | None:
        """The path of a module of this package; None for any other module."""
        path = module.removeprefix("fastnn_kernels").removeprefix(".").replace(".", "/")
        found = (name for name in (f"{path}.py", f"{path}/__init__.py") if name in self.sources)
        return next(found, None) if module.startswith("fastnn_kernels") else None

    def _add_import(self, path: str, node: ast.Import | ast.ImportFrom) -> None:
        module = getattr(node, "module", None) or ""
        if getattr(node, "level", 0):
            package = PurePosixPath("fastnn_kernels", path).parents[node.level - 1]  # type: ignore[union-attr]
            module = ".".join([*package.parts, *filter(None, [module])])
        for alias in node.names:
            key = (path, alias.asname or alias.name)
            file = self._file_of(f"{module}.{alias.name}" if module else alias.name)
            if file is not None:
                self.modules[key] = file
                continue
            origin = self._file_of(module)
            if origin is not None:
                self.originals[key] = (origin, alias.name)
            self.definitions[key].append((f"{module} {alias.name}", {self.originals[key]} if origin else set()))

    def _add_definitions(self, path: str, tree: ast.Module) -> None:
        lines = self.sources[path].splitlines()
        for node in tree.body:
            if not isinstance(node, (ast.Import, ast.ImportFrom)):
                first = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))])
                definition = "\n".join(lines[first - 1 : node.end_lineno]), self._meant(path, node)
                for key in self._bound(path, node):
                    self.definitions[key].append(definition)

    def _meant(self, path: str, node: ast.AST) -> set[Key]:
        """What the names in ``node`` can mean."""
        parts = list(ast.walk(node))
        names = {part.id for part in parts if isinstance(part, ast.Name)}
        attributes = {part.attr for part in parts if isinstance(part, ast.Attribute)}
        files = {self.modules[path, name] for name in names if (path, name) in self.modules}
        return {(path, name) for name in names} | {(file, attribute) for file in files for attribute in attributes}

    def _bound(self, path: str, node: ast.stmt) -> set[Key]:
        """What a statement defines or changes; of an imported name also the original."""
        keys = {(path, name) for name in _stored(node)}
        for given in _registered(node):
            keys |= self._meant(path, given)
        return keys | {self.originals[key] for key in keys if key in self.originals}

    def _read_table(self, tree: ast.Module) -> None:
        """From literal tables ``KERNELS = {"op": kernel, ...}`` what a name's entries mean; under "" what the whole file does."""
        self.roots[""] = self._meant(self.target.table, tree)
        for node in ast.walk(tree):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        self.roots[key.value] = self.roots.get(key.value, set()) | self._meant(self.target.table, value)


def _imports(tree: ast.Module) -> Iterator[ast.Import | ast.ImportFrom]:
    """A file's imports, also those under an ``if``: the last one of a name counts."""
    for node in tree.body:
        parts = ast.walk(node) if isinstance(node, ast.If) else (node,)
        yield from (part for part in parts if isinstance(part, (ast.Import, ast.ImportFrom)))


def _stored(node: ast.stmt) -> Iterator[str]:
    """The names a top-level statement assigns."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    else:
        yield from (part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store))


def _registered(node: ast.stmt) -> Iterator[ast.AST]:
    """What a statement hands to calls that keep it: ``@overload(this)``, ``register(this, this)``, ``this.append(this)``."""
    calls = [node.value] if isinstance(node, ast.Expr) else getattr(node, "decorator_list", [])
    for call in calls:
        if isinstance(call, ast.Call):
            yield from call.args
            if isinstance(call.func, ast.Attribute) and isinstance(node, ast.Expr):
                yield call.func.value
