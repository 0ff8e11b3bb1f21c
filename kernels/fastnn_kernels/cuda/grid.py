"""What a launch of an instruction needs: blocks, and scratch. Read by whoever launches it; Numba is not needed."""

from __future__ import annotations

from collections.abc import Mapping

from fastnn_kernels.cuda.matmul.blocking import SUM_COLUMNS, scratch_elements, work_items
from fastnn_kernels.instructions import INSTRUCTIONS, PRODUCTS

BLOCKS_PER_MULTIPROCESSOR = 4
ELEMENTS_PER_BLOCK = 32
"""The most blocks of a launch, and how many elements of its largest operand are worth one more, where the work has no other unit:
a block too many costs nanoseconds, one too few leaves a multiprocessor idle."""


def blocks_for(op: str, dtype: str, sizes: Mapping[str, int], attributes: Mapping[str, float], elements: int, most: int) -> int:
    """Blocks for one launch, at least one and ``most`` at most.

    Parameters
    ----------
    op, dtype : str
        The instruction and its float type.
    sizes, attributes : mapping
        Its dimension letters and attributes.
    elements : int
        Of the largest operand that it works on.
    most : int
        `BLOCKS_PER_MULTIPROCESSOR` times the multiprocessors.
    """
    if not INSTRUCTIONS[op].parallel:
        return 1
    if op in PRODUCTS:
        items = work_items("bfloat16" if op == "matmul_bfloat16" else dtype, *_product(sizes, attributes))
    elif op == "sum_rows":
        items = -(-sizes["N"] // SUM_COLUMNS)
    else:
        items = -(-elements // ELEMENTS_PER_BLOCK)
    return max(1, min(most, items))


def scratch_for(op: str, dtype: str, sizes: Mapping[str, int], attributes: Mapping[str, float]) -> int:
    """Elements of an operand ``scratch``, whose first ones are 0, for sizes up to ``sizes``; 0 where there is no such operand."""
    return scratch_elements(dtype, *_product(sizes, attributes)) if op in PRODUCTS else 0


def _product(sizes: Mapping[str, int], attributes: Mapping[str, float]) -> tuple[int, int, int]:
    return sizes["M"], sizes["N"], sizes["A0" if attributes["transpose_a"] else "A1"]
