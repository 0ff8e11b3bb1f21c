"""Data that comes with fastnn: nothing to download."""

from fastnn.datasets import digits
from fastnn.errors import refuse_names

__all__ = ["digits"]

refuse_names(__name__)
