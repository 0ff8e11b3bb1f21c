"""How every CPU kernel is compiled: one decorator, one set of fast-math flags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn_kernels.cpu.dispatcher import Kernel, interleaving

FAST_MATH = frozenset({"contract", "reassoc", "nsz", "afn"})
"""LLVM's flags that keep NaN and inf (no ``nnan``, ``ninf``) and exact reciprocals (no ``arcp``: 1/sqrt(0) became NaN)."""

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "nogil": True,
    "fastmath": set(FAST_MATH),
    "boundscheck": False,
    "_nrt": False,
}
"""``error_model="numpy"``: a division by zero is inf or NaN, never an exception, which a C adapter would swallow.
``_nrt=False``: whatever allocates, or is a helper that returns an array, is an error at compilation; no references are counted."""


ORDERED_OPTIONS = {**OPTIONS, "fastmath": set(FAST_MATH - {"reassoc"})}


def kernel(function: Callable[..., Any]) -> Kernel:
    """Compile ``function`` on first use; for kernels and the functions that they call."""
    return Kernel(function, OPTIONS)


def ordered_kernel(function: Callable[..., Any]) -> Kernel:
    """A `kernel` that adds in the order written: the same bits for any width of vectors."""
    return Kernel(function, ORDERED_OPTIONS)


def interleaved_kernel(vectors: int) -> Callable[[Callable[..., Any]], Kernel]:
    """A `kernel` that works on so many vectors side by side, for long chains of operations: each waits for the one before.

    LLVM counts what the operations of a loop cost, not how long they wait.
    """
    return lambda function: Kernel(function, OPTIONS, compiler=interleaving(vectors))


def by_type(choose: Callable[..., Callable[..., Any]]) -> Callable[[Callable[..., Any]], Kernel]:
    """A `kernel` that is ``choose(*types)`` of its arguments' Numba types."""
    return lambda function: Kernel(function, OPTIONS, choose)
