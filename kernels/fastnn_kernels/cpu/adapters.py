"""Adapters: from a contract line, the source of the function that unpacks a row into arrays and calls the kernel."""

from __future__ import annotations

from fastnn_kernels.instructions import ROW_OPERANDS, Instruction, OperandSpec, dtype_name


def _array(spec: OperandSpec, place: int, words: dict[str, int], dtype: str) -> str:
    address = f"load_int(row + {8 * place})"
    shape = [str(size) if isinstance(size, int) else f"load_int(row + {8 * words[size]})" for size in spec.shape]
    if spec.optional:
        shape[0] = f"({shape[0]} if {address} != 0 else 0)"
    return f"array_{dtype_name(spec.dtype, dtype)}({address}, ({', '.join(shape)},))"


def adapter_source(instruction: Instruction, dtype: str) -> str:
    """The adapter of ``instruction`` as Python source; ``function`` is the kernel."""
    dimensions = ROW_OPERANDS + len(instruction.operands)
    words = {letter: dimensions + index for index, letter in enumerate(instruction.dimensions)}
    arguments = [_array(spec, ROW_OPERANDS + index, words, dtype) for index, spec in enumerate(instruction.operands)]
    for index, (_, kind) in enumerate(instruction.attributes, start=dimensions + len(words)):
        arguments.append(f"load_{'float' if kind == 'd' else 'int'}(row + {8 * index})")
    arguments += ["worker", "workers"]
    lines = ["def adapter(row, worker, workers):"]
    if not instruction.parallel:
        lines += ["    if worker != 0:", "        return"]
        arguments[-1] = "1"
    lines += ["    function(", *(f"        {argument}," for argument in arguments), "    )"]
    return "\n".join(lines) + "\n"
