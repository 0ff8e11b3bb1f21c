"""`Kernel`: a function that Numba types and lowers, and leaves to be optimised once, with whatever calls it.

Numba optimises a function, its Python wrapper and all that it calls, and makes machine code of it, before its caller does the same
again: of the machine code of a unit's ten functions only that of the outermost is used. This halves the time to compile.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from llvmlite import ir
from numba import jit
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase
from numba.core.compiler_machinery import PassManager
from numba.core.dispatcher import _FunctionCompiler
from numba.core.registry import CPUDispatcher
from numba.core.runtime import rtsys
from numba.core.typed_passes import IRLegalization, NativeLowering, NoPythonBackend, NopythonTypeInference, PreLowerStripPhis
from numba.core.untyped_passes import FixupArgs, GenericRewrites, IRProcessing, ReconstructSSA, TranslateByteCode

PASSES = (
    TranslateByteCode,
    FixupArgs,
    IRProcessing,
    GenericRewrites,
    ReconstructSSA,
    NopythonTypeInference,
    PreLowerStripPhis,
    IRLegalization,
    NativeLowering,
    NoPythonBackend,
)
"""Those of Numba's passes that kernels need: none for closures, ``with``, ``literal_unroll``, inlining or branches on None."""


class KernelLibrary(JITCodeLibrary):
    """The LLVM module of a function as lowered, and those of the functions it calls."""

    interleave: int

    def add_ir_module(self, module: Any) -> None:
        """After its loops were told how many vectors they are to work on side by side."""
        if self.interleave:
            for latch in (latch for function in module.functions for latch in _latches(function)):
                latch.set_metadata("llvm.loop", _loop_id(module, self.interleave))
        super().add_ir_module(module)

    def add_llvm_module(self, module: Any) -> None:
        """Without Numba's passes over every function."""
        self._final_module.link_in(module)

    def add_linking_library(self, library: Any) -> None:
        """Without Numba's runtime, which allocates memory."""
        if library is not rtsys.library:
            super().add_linking_library(library)

    def finalize(self) -> None:
        """Link; no optimisation, no machine code."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._finalized = True


def _latches(function: Any) -> list[Any]:
    """The branches back to the start of a loop: Numba's blocks are in the order of the source."""
    places = {block: place for place, block in enumerate(function.blocks)}
    ends = ((place, block.terminator) for block, place in places.items())
    return [end for place, end in ends if isinstance(end, ir.Branch) and places[end.operands[0]] <= place]


def _loop_id(module: Any, interleave: int) -> Any:
    """LLVM's metadata of one loop: a node whose first operand is the node itself, then what is wanted."""
    wanted = module.add_metadata(["llvm.loop.interleave.count", ir.Constant(ir.IntType(32), interleave)])
    node = module.add_metadata([wanted, ir.Constant(ir.IntType(32), len(module.metadata))])  # unlike any before
    node.operands = (node, wanted)
    return node


class KernelCompiler(CompilerBase):
    """Numba's pipeline up to LLVM's input, `PASSES` alone."""

    interleave = 0

    def __init__(self, typing: Any, target: Any, library: Any, args: Any, return_type: Any, flags: Any, types: Any) -> None:
        flags.no_compile = flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
        library = KernelLibrary(target.codegen(), "kernel")
        library.interleave = self.interleave
        super().__init__(typing, target, library, args, return_type, flags, types)

    def define_pipelines(self) -> list[PassManager]:
        """What Numba runs on a function."""
        manager = PassManager("kernel")
        for step in PASSES:
            manager.add_pass(step, step.name())
        manager.finalize()
        return [manager]


def interleaving(count: int) -> type[KernelCompiler]:
    """A compiler that has LLVM work on ``count`` vectors of every loop side by side, if it vectorises the loop."""
    return type("InterleavingCompiler", (KernelCompiler,), {"interleave": count})


class FunctionCompiler(_FunctionCompiler):
    """Compiles the function that ``choose`` gives for the types of the arguments."""

    choose: Callable[..., Callable[..., Any]]

    def _get_implementation(self, args: Any, kws: Any) -> Any:
        return self.choose(*args)


class Kernel(CPUDispatcher):
    """A compiled function for other compiled functions, kernels or not.

    With ``choose`` it is ``choose(*types)`` of the arguments' types, and ``function`` just names it.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        options: dict[str, Any],
        choose: Callable[..., Callable[..., Any]] | None = None,
        compiler: type[KernelCompiler] = KernelCompiler,
    ) -> None:
        super().__init__(function, targetoptions={**options, "nopython": True}, pipeline_class=compiler)
        if choose is not None:
            self._compiler = FunctionCompiler(function, self.targetdescr, self.targetoptions, {}, KernelCompiler)
            self._compiler.choose = choose

    def add_overload(self, result: Any) -> None:
        """Let callers find the function by a key; Numba's own dispatcher takes the address of its machine code."""
        result = result._replace(entry_point=object())
        result.target_context.insert_user_function(result.entry_point, result.fndesc, [result.library])
        self.overloads[tuple(result.signature.args)] = result

    @cached_property
    def from_python(self) -> Callable[..., Any]:
        """An ordinary compiled function that calls this one."""

        def call(*args):
            return self(*args)

        return jit(**self.targetoptions)(call)

    def __call__(self, *args: Any) -> Any:
        """Compile for Python too; for tests and examples."""
        return self.from_python(*args)
