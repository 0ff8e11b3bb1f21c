"""The CUDA target: the kernels for NVIDIA GPUs, through numba-cuda, and a simulator of them (``NUMBA_ENABLE_CUDASIM=1``)."""

import os

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM", "0") not in ("", "0")
"""Kernels are plain Python, the device is memory of the host. Read as Numba reads it; numba-cuda itself is not needed then."""

THREADS = 32 if SIMULATED else 256
"""Threads of a block; simulated, one warp, for tests that end."""
