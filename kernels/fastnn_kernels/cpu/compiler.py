"""The compiler: one unit to one object, by Numba. Imported only when an object is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
from numba import types
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock

from fastnn_kernels.cpu import interpreter, intrinsics
from fastnn_kernels.cpu.adapters import INTERPRETER, adapter_source, split_unit, symbol
from fastnn_kernels.cpu.kernels import KERNELS
from fastnn_kernels.cpu.options import OPTIONS
from fastnn_kernels.instructions import INSTRUCTIONS

ROW_SIGNATURE = types.void(types.int64, types.int64, types.int64)
RUN_SIGNATURE = types.int64(*[types.int64] * 10)


def entry_point(unit: str) -> tuple[Any, Callable[..., Any]]:
    """The signature and the Python function behind ``unit``'s symbol."""
    if unit == INTERPRETER:
        return RUN_SIGNATURE, interpreter.run.py_func
    op, dtype = split_unit(unit)
    namespace = {name: value for name, value in vars(intrinsics).items() if name.startswith(("array_", "load_"))}
    namespace["function"] = KERNELS[op]
    exec(adapter_source(INSTRUCTIONS[op], dtype), namespace)
    return ROW_SIGNATURE, namespace["adapter"]


def compile_module(unit: str) -> Any:
    """``unit`` as an LLVM module in which only its C function is visible and no exception is left.

    Raises
    ------
    RuntimeError
        Where the kernel could raise: an adapter cannot pass an exception on.
    """
    if numba.config.DISABLE_JIT:
        raise RuntimeError("NUMBA_DISABLE_JIT is set; unset it, or use device='reference'")
    signature, function = entry_point(unit)
    text, name = _numba_module(signature, function)
    module = llvm.parse_assembly(text)
    for value in (*module.functions, *module.global_variables):
        if not value.is_declaration and value.name != name:
            value.linkage = "internal"
    module.get_function(name).name = symbol(unit)
    _drop_status_paths(module)
    raising = [value.name for value in module.global_variables if "picklebuf" in value.name]
    if raising:
        raise RuntimeError(f"unit {unit!r} can raise an exception: {raising[0]}")
    return module


@global_compiler_lock
def _numba_module(signature: Any, function: Callable[..., Any]) -> tuple[str, str]:
    """The optimised LLVM text of ``function`` as a C callback, and the callback's name.

    Like ``numba.cfunc``, which goes on to generate code in this process and leaves the module lowered for it.
    """
    compiled = CFunc(function, (signature.args, signature.return_type), {}, dict(OPTIONS))._compile_uncached()
    compiled.library.finalize()
    return compiled.library.get_llvm_str(), compiled.fndesc.llvm_cfunc_wrapper_name


def target_machine() -> Any:
    """The machine that Numba compiles for."""
    codegen = numba.core.registry.cpu_target.target_context.codegen()
    _, cpu, features = codegen.magic_tuple()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    reloc = "static" if target.name.startswith("x86") else "default"
    return target.create_target_machine(cpu=cpu, features=features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True)


def _drop_status_paths(module: Any) -> None:
    """Fold Numba's status codes, all 0 now that every callee is private and the whole is seen, and drop what nobody calls."""
    options = llvm.create_pipeline_tuning_options(speed_level=1)  # the code is optimised already
    builder = llvm.create_pass_builder(target_machine(), options)
    builder.getModulePassManager().run(module, builder)


def compile_object(unit: str) -> bytes:
    """Compile ``unit`` to object code."""
    return target_machine().emit_object(compile_module(unit))
