"""The build hook of wheels: puts the objects that ``make wheel`` compiled, if they are there, beside the module that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILED, IN_THE_WHEEL = "build/prebuilt", "fastnn_kernels/cpu/prebuilt"


class PrebuiltObjects(BuildHookInterface):
    """Not in editable installs: a checkout compiles what its sources say."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the levels' folders to a wheel."""
        for level in sorted(Path(self.root, COMPILED).glob("x86-64-*")) if version == "standard" else []:
            build_data["force_include"][str(level)] = f"{IN_THE_WHEEL}/{level.name}"
