"""Doctests: the CUDA target's files need numba-cuda, and have none."""

collect_ignore_glob = ["fastnn_kernels/cuda/*"]
