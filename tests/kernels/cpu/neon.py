"""Run in a process of its own: chooses NEON's tile on any machine, then ``assembly UNIT TRIPLE`` or ``pytest ARGUMENTS``."""

from __future__ import annotations

import re
import sys
from typing import Any

import llvmlite.binding as llvm
import pytest
from fastnn_kernels.cpu.matmul import blocking


def assembly(unit: str, triple: str) -> str:
    """The assembly of ``unit``, typed and lowered here, optimised and generated for another machine."""
    from fastnn_kernels.cpu import compiler

    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine, lowered = llvm.Target.from_triple(triple).create_target_machine(opt=3), compiler._lowered_module

    def moved(unit: str) -> Any:
        module = llvm.parse_assembly(re.sub(r"(?m)^target .*$", "", str(lowered(unit))))
        module.triple, module.data_layout = triple, str(machine.target_data)
        return module

    compiler._lowered_module, compiler.target_machine = moved, lambda: machine
    return machine.emit_assembly(compiler.compile_module(unit))


if __name__ == "__main__":
    blocking.tile_of = lambda triple, features: blocking.NEON
    if sys.argv[1] == "pytest":
        sys.exit(pytest.main(sys.argv[2:]))
    print(assembly(*sys.argv[2:]))
