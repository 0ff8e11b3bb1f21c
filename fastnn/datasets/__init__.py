"""Data that comes with fastnn: nothing to download."""

from fastnn.datasets import digits

__all__ = ["digits"]
