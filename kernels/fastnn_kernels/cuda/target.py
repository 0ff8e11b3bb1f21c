"""What the kernels run on: a GPU through numba-cuda, or the simulator, where a kernel is plain Python (``NUMBA_ENABLE_CUDASIM=1``).

Kernels import ``kernel`` and ``ptx`` from here and never see the difference.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
"""Read as Numba reads it; numba-cuda itself is not needed then."""

if SIMULATED:
    from fastnn_kernels.cuda import ptx_simulated as ptx
else:
    from fastnn_kernels.cuda import ptx as ptx


def kernel(function: Callable[..., Any]) -> Any:
    """A device function: for kernels and for the functions that they call."""
    return function if SIMULATED else ptx.device_function(function)
