"""``tf.random``."""

from fastnn.random import set_seed

__all__ = ["set_seed"]
