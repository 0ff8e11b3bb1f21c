"""The compiler: one unit to one object, by Numba. Imported only when an object is missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from fastnn_kernels.cpu import interpreter, intrinsics
from fastnn_kernels.cpu.adapters import adapter_source
from fastnn_kernels.cpu.kernels import KERNELS
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.units import INTERPRETER, split_unit, symbol

ROW_SIGNATURE = types.void(types.int64, types.int64, types.int64)
RUN_SIGNATURE = types.int64(*[types.int64] * 10)

RAISED = "fastnn_raised"
"""What a unit would call after an exception; there is no such function."""

LINKAGES = ("linkonce_odr", "internal")
"""Of all but the C function, for one round of optimisation each. While others may call it, a large helper is not inlined into its
only caller (`pack` in the loops of matmul made small products slower by a fifth); once it is private, Numba's status codes,
all 0, are folded. One round alone left `sum_rows`, `take_rows` and `rmsprop` slower by 15 to 40 %."""


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
    """``unit`` as an optimised LLVM module in which only its C function is visible and no exception is left.

    Raises
    ------
    RuntimeError
        Where the kernel could raise: an adapter cannot pass an exception on.
    """
    if config.DISABLE_JIT:
        raise RuntimeError("NUMBA_DISABLE_JIT is set; unset it, or use device='reference'")
    module = _lowered_module(unit)
    for linkage in LINKAGES:
        for value in (*module.functions, *module.global_variables):
            if not value.is_declaration and value.name != symbol(unit):
                value.linkage = linkage
        _optimise(module)
    if any(value.name == RAISED for value in module.functions):
        raise RuntimeError(f"unit {unit!r} can raise an exception")
    return module


@global_compiler_lock
def _lowered_module(unit: str) -> Any:
    """The function behind ``unit``'s symbol, and all that it calls, as Numba lowers them."""
    signature, function = entry_point(unit)
    adapter = kernel(function)
    adapter.compile(signature)
    compiled = adapter.overloads[signature.args]
    compiled.library.add_ir_module(_c_function(compiled, symbol(unit)))
    compiled.library.finalize()
    return compiled.library._final_module


def _c_function(compiled: Any, name: str) -> Any:
    """A module with the C function ``name``, which calls ``compiled``, and then `RAISED` if that left an exception."""
    context, function = compiled.target_context, compiled.fndesc
    module = context.create_module("c_function")
    callee_type = context.call_conv.get_function_type(function.restype, function.argtypes)
    callee = ir.Function(module, callee_type, function.llvm_func_name)
    arguments = [context.get_value_type(argument) for argument in function.argtypes]
    c_function = ir.Function(module, ir.FunctionType(context.get_value_type(function.restype), arguments), name)
    builder = ir.IRBuilder(c_function.append_basic_block())
    status, result = context.call_conv.call_function(builder, callee, function.restype, function.argtypes, c_function.args)
    with builder.if_then(status.is_error, likely=False):
        builder.call(ir.Function(module, ir.FunctionType(ir.VoidType(), []), RAISED), [])
    builder.ret(result)
    return module


def target_machine() -> Any:
    """The machine that Numba compiles for."""
    codegen = cpu_target.target_context.codegen()
    _, cpu, features = codegen.magic_tuple()
    target = llvm.Target.from_triple(llvm.get_process_triple())
    reloc = "static" if target.name.startswith("x86") else "default"
    return target.create_target_machine(cpu=cpu, features=features, opt=3, reloc=reloc, codemodel="jitdefault", jit=True)


def _optimise(module: Any) -> None:
    """LLVM's passes over the whole unit, as Numba's settings say."""
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization, options.slp_vectorization = bool(config.LOOP_VECTORIZE), bool(config.SLP_VECTORIZE)
    builder = llvm.create_pass_builder(target_machine(), options)
    builder.getModulePassManager().run(module, builder)


def compile_object(unit: str) -> bytes:
    """Compile ``unit`` to object code."""
    return target_machine().emit_object(compile_module(unit))
