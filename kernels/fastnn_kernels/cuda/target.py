"""What kernels are made of, on a GPU or simulated: they import ``kernel``, ``ptx``, ``hopper`` from here and see no difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn_kernels.cuda import SIMULATED

if SIMULATED:
    from fastnn_kernels.cuda import ptx_hopper_simulated as hopper
    from fastnn_kernels.cuda import ptx_simulated as ptx
else:
    from fastnn_kernels.cuda import ptx  # type: ignore[no-redef]
    from fastnn_kernels.cuda import ptx_hopper as hopper  # type: ignore[no-redef]

__all__ = ["hopper", "kernel", "ptx"]


def kernel(function: Callable[..., Any]) -> Any:
    """A device function: for kernels and for the functions that they call."""
    return ptx.device_function(function)
