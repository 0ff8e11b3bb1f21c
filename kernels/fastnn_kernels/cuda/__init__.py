"""The CUDA target: the kernels for NVIDIA GPUs, through numba-cuda, and a simulator of them (``NUMBA_ENABLE_CUDASIM=1``)."""

import os

_SETTING = int(os.environ.get("NUMBA_ENABLE_CUDASIM") or 0)

SIMULATED = _SETTING != 0
"""Kernels are plain Python, the device is memory of the host. Read as Numba reads it; numba-cuda itself is not needed then."""

THREADS = max(32, _SETTING) if SIMULATED else 256
"""Threads of a block; simulated, one warp, for tests that end, or with ``NUMBA_ENABLE_CUDASIM=256`` as many as on a GPU."""
