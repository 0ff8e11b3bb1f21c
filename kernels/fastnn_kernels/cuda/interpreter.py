"""The interpreter: one block runs whole steps of a small program, row by row, without returning to the host.

Its table is the CPU's, rows of `ROW_WORDS` words, but word 0 is the instruction's number in `NUMBERS`. Every row is the work of
one worker; the block meets after each. Block b of a launch runs the b-th table, so that a grid trains as many models.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastnn_kernels.instructions import (
    FLAG_STATUS,
    INSTRUCTIONS,
    ROW_FLAGS,
    ROW_OPERANDS,
    ROW_WORDS,
    STATUS,
    Instruction,
    dtype_name,
)

NUMBERS = {op: number for number, op in enumerate(INSTRUCTIONS)}
"""Word 0 of a row."""

PARAMETERS = {
    "tables": "uint64",
    "rows": "int64",
    "first_row": "int64",
    "steps": "int64",
    "positions": "uint64",
}
"""Of the entry. Every block runs ``steps`` steps, the first from ``first_row`` (``rows``: none of it is left), and stores
``step * rows + row`` of the row that stopped it, or ``steps * rows``, in its int64 of ``positions``."""

_HEAD = f"""
def entry({", ".join(PARAMETERS)}):
    table = tables + uint64(block()) * uint64(rows) * uint64({8 * ROW_WORDS})
    end = steps * rows
    position, row = first_row, first_row if first_row < rows else 0
    while position < end:
        words = table + uint64(row) * uint64({8 * ROW_WORDS})
        number = load_int(words)
"""

_TAIL = f"""
        sync()
        if load_int(words + uint64({8 * ROW_FLAGS})) & {FLAG_STATUS}:
            status = load_int(uint64(load_int(words + uint64({{control}}))) + uint64({8 * STATUS}))
            sync()
            if status != 0:
                break
        position += 1
        row = row + 1 if row + 1 < rows else 0
    if thread() == 0:
        store_int(positions + uint64(8) * uint64(block()), position)
"""


def interpreter_source(ops: Iterable[str], dtype: str) -> str:
    """The entry as Python source; it calls ``kernel_<op>`` of each of ``ops``."""
    lines, keyword = [_HEAD.strip()], "if"
    for op in ops:
        if dtype == "float64" and any(spec.dtype == "f4" for spec in INSTRUCTIONS[op].operands):
            continue  # no such program has the instruction
        call = f"kernel_{op}({', '.join(_arguments(INSTRUCTIONS[op], dtype))})"
        lines += [f"        {keyword} number == {NUMBERS[op]}:", f"            {call}"]
        keyword = "elif"
    return "\n".join(lines) + _TAIL.format(control=_control_byte())


def _word(place: int) -> str:
    return f"load_word(words + uint64({8 * place}))"


def _arguments(instruction: Instruction, dtype: str) -> list[str]:
    """The kernel's arguments as words of a row."""
    first_size = ROW_OPERANDS + len(instruction.operands)
    sizes = {letter: _word(place) for place, letter in enumerate(instruction.dimensions, start=first_size)}
    arguments = []
    for place, spec in enumerate(instruction.operands, start=ROW_OPERANDS):
        shape = [sizes[size] if isinstance(size, str) else str(size) for size in spec.shape]
        if spec.optional:
            shape[0] = f"({shape[0]} if {_word(place)} != 0 else 0)"
        arguments.append(f"array_{dtype_name(spec.dtype, dtype)}(uint64({_word(place)}), ({', '.join(shape)},))")
    for place, (_, kind) in enumerate(instruction.attributes, start=first_size + len(sizes)):
        arguments.append(_word(place) if kind == "i" else f"load_float(words + uint64({8 * place}))")
    return [*arguments, "0", "1"]


def _control_byte() -> int:
    """Where a row that may stop the run holds the address of ``control``; there is one such instruction."""
    (stopping,) = (instruction for instruction in INSTRUCTIONS.values() if instruction.may_stop)
    return 8 * (ROW_OPERANDS + [spec.name for spec in stopping.operands].index("control"))
