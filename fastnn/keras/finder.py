"""The import hook: modules called ``keras...`` and ``tensorflow...`` whose names are fastnn's own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import fastnn
from fastnn.errors import missing
from fastnn.keras.names import MODULES, VERSIONS


class Stand(ModuleType):
    """Stands for a module of Keras or TensorFlow: looks every name up in the fastnn module behind it."""

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        if full in MODULES:
            return import_module(full)
        if name == "__all__":
            return public_names(self.__name__)
        if name == "__version__" and self.__name__ in VERSIONS:
            return f"{VERSIONS[self.__name__]}+fastnn.{fastnn.__version__}"
        if name.startswith("__") or name not in public_names(self.__name__):
            raise AttributeError(not_covered(full), obj=self)  # given name=, CPython would add its guess
        return getattr(import_module(MODULES[self.__name__]), name)

    def __dir__(self) -> list[str]:
        return public_names(self.__name__)


class KerasFinder(MetaPathFinder, Loader):
    """Finds the modules in `MODULES` and refuses, by name, every other one of Keras and TensorFlow."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec of a covered module; None for modules of other packages."""
        if fullname.partition(".")[0] not in ("keras", "tensorflow"):
            return None
        if fullname in MODULES:
            return ModuleSpec(fullname, self, origin=f"fastnn ({MODULES[fullname]})", is_package=True)
        owner, _, name = fullname.rpartition(".")
        if name in public_names(owner):  # `import keras.layers.Dense`: a name, but not a module
            return None
        raise ImportError(not_covered(fullname), name=fullname)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """An empty stand."""
        return Stand(spec.name, f"``{spec.name}`` as fastnn covers it: see ``{MODULES[spec.name]}``.")

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: names are looked up when they are used."""


def public_names(module: str) -> list[str]:
    """The names of a covered module: its submodules, and what the fastnn module behind it makes public."""
    children = [name.removeprefix(f"{module}.") for name in MODULES if name.startswith(f"{module}.")]
    target = import_module(MODULES[module])
    return sorted({*target.__all__, *(child for child in children if "." not in child)})


def not_covered(full: str) -> str:
    """The text that refuses ``full``, a name of a covered module."""
    owner, _, name = full.rpartition(".")
    parent = owner.rpartition(".")[0]
    if MODULES.get(parent) == MODULES[owner]:  # keras.layers.core is an old name of keras.layers
        owner = parent
    return missing(f"{owner}.{name}", public_names(owner))


def loaded_elsewhere() -> list[str]:
    """Keras and TensorFlow, where the real ones are already imported."""
    return [root for root in ("keras", "tensorflow") if not isinstance(sys.modules.get(root), Stand | None)]
