"""How every CPU kernel is compiled: one decorator, one set of fast-math flags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

FAST_MATH = frozenset({"contract", "reassoc", "nsz", "afn"})
"""LLVM's flags that keep NaN and inf (no ``nnan``, ``ninf``) and exact reciprocals (no ``arcp``: 1/sqrt(0) became NaN)."""

OPTIONS: dict[str, Any] = {
    "error_model": "numpy",
    "nogil": True,
    "fastmath": set(FAST_MATH),
    "boundscheck": False,
    "_nrt": False,
    "no_cfunc_wrapper": True,
}
"""``error_model="numpy"``: a division by zero is inf or NaN, never an exception, which a C adapter would swallow.
``_nrt=False``: whatever allocates, or is a helper that returns an array, is an error at compilation; no references are counted.
``no_cfunc_wrapper``: adapters alone are called from C, and a fourth of the compile time is saved."""


def kernel(function: Callable[..., Any]) -> Any:
    """Compile ``function`` on first use; for kernels and the functions that they call."""
    return njit(**OPTIONS)(function)
