"""Adapters: from a contract line, the source of the function that is launched: addresses and sizes to arrays.

Its parameters are ``status`` (the address of an int64; where that is not 0, nothing is done; 0: no such address), an address for
every operand (0: absent), an int64 for every dimension letter, and the attributes, int64 or float64; those of a variant, then, its
tensor maps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn_kernels.cuda.interpreter import PARAMETERS, interpreter_source
from fastnn_kernels.cuda.variants import MAP, variant_of
from fastnn_kernels.instructions import INSTRUCTIONS, Instruction, OperandSpec, dtype_name
from fastnn_kernels.units import INTERPRETER, split_unit


def _array(spec: OperandSpec, dtype: str) -> str:
    shape = [str(size) for size in spec.shape]
    if spec.optional:
        shape[0] = f"({shape[0]} if {spec.name}_address != 0 else 0)"
    return f"array_{dtype_name(spec.dtype, dtype)}({spec.name}_address, ({', '.join(shape)},))"


def parameters(instruction: Instruction) -> dict[str, str]:
    """Names and Numba types of the parameters of an instruction's entry, in order."""
    attributes = {name: "float64" if kind == "d" else "int64" for name, kind in instruction.attributes}
    addresses = ["status", *(f"{spec.name}_address" for spec in instruction.operands)]
    return dict.fromkeys(addresses, "uint64") | dict.fromkeys(instruction.dimensions, "int64") | attributes


def unit_parameters(unit: str) -> dict[str, str]:
    """Names and Numba types of the parameters of a unit's entry, in order."""
    op, _ = split_unit(unit)
    return PARAMETERS if op == INTERPRETER else parameters(INSTRUCTIONS[op]) | dict.fromkeys(_maps(unit), MAP)


def _maps(unit: str) -> tuple[str, ...]:
    """The tensor maps that a unit takes."""
    variant = variant_of(unit)
    return () if variant is None else tuple(variant.maps)


def entry_function(unit: str, names: dict[str, Any]) -> Callable[..., None]:
    """The Python function of a unit's entry; ``names`` are those of `ptx` or its twin, and its integer types."""
    from fastnn_kernels.cuda.kernels import KERNELS, KERNELS_OF_UNITS

    op, dtype = split_unit(unit)
    if op == INTERPRETER:
        namespace, source = {f"kernel_{name}": kernel for name, kernel in KERNELS.items()}, interpreter_source(KERNELS, dtype)
    else:
        namespace = {"function": KERNELS_OF_UNITS.get(unit, KERNELS[op])}
        source = adapter_source(INSTRUCTIONS[op], dtype, _maps(unit))
    namespace |= names
    exec(source, namespace)
    return namespace["entry"]


def adapter_source(instruction: Instruction, dtype: str, maps: tuple[str, ...] = ()) -> str:
    """The adapter of ``instruction`` as Python source; ``function`` is the kernel, which takes ``maps`` after the attributes."""
    arguments = [_array(spec, dtype) for spec in instruction.operands]
    arguments += [*(name for name, _ in instruction.attributes), *maps]
    lines = [f"def entry({', '.join([*parameters(instruction), *maps])}):"]
    lines += ["    if status != 0:", "        if load_int(status) != 0:", "            return"]
    if instruction.parallel:
        arguments += ["int64(block())", "int64(blocks())"]
    else:
        lines += ["    if block() != 0:", "        return"]
        arguments += ["0", "1"]
    lines += ["    function(", *(f"        {argument}," for argument in arguments), "    )"]
    return "\n".join(lines) + "\n"
