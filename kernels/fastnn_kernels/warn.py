"""Warnings that name the user's line, however deep in fastnn they arise."""

from __future__ import annotations

import sys
import warnings

OURS = ("fastnn", "fastnn_kernels")


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line that called fastnn or its kernels."""
    frame, level = sys._getframe(1), 2
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in OURS:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)
