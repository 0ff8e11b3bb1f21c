"""Checks of the arguments that optimizers are given."""

from __future__ import annotations

import inspect
import math
import numbers
from typing import Any

import numpy as np
from fastnn_kernels.warn import warn

from fastnn.errors import meant

NOT_YET: dict[str, Any] = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}
"""Keras's arguments that no optimizer supports yet, with the values that do nothing."""


def check_arguments(owner: type, kwargs: dict[str, Any]) -> None:
    """Refuse arguments that are unknown, and those of Keras that are not supported yet."""
    if kwargs.pop("decay", None) is not None:
        warn("Argument `decay` is no longer supported and will be ignored.")
    unknown = {name: value for name, value in kwargs.items() if name not in NOT_YET}
    if unknown:
        known = [*inspect.signature(owner).parameters, *NOT_YET]
        raise ValueError(f"Argument(s) not recognized: {unknown}{meant(unknown, known)}")
    for name, value in kwargs.items():
        if value not in (None, False) and value != NOT_YET[name]:
            raise ValueError(f"argument `{name}` of {owner.__name__} is not supported yet, got {value!r}: leave it out")


def checked_rate(value: Any) -> float:
    """``value`` as a learning rate: any finite number."""
    plain = isinstance(value, numbers.Real) or (isinstance(value, np.ndarray) and value.ndim == 0)
    if isinstance(value, bool | np.bool_) or not plain:
        raise ValueError(
            f"learning_rate must be a float, got {value!r}. Schedules and functions are not supported yet: set "
            "optimizer.learning_rate while training, in a callback"
        )
    if not math.isfinite(value):
        raise ValueError(f"learning_rate must be finite, got {value!r}")
    return float(value)


def fraction(owner: str, name: str, value: Any) -> float:
    """``value`` as a float from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) <= 1:
        raise ValueError(f"`{name}` of {owner} must be a float between [0, 1], got {name}={value!r}")
    return float(value)


def decay(owner: str, name: str, value: Any) -> float:
    """``value`` as what stays of a running mean: with 1 nothing new comes in, and Adam's correction divides by 0."""
    if fraction(owner, name, value) == 1:
        raise ValueError(f"`{name}` of {owner} must be below 1, got {name}={value!r}")
    return float(value)


def not_negative(owner: str, name: str, value: Any) -> float:
    """``value`` as a finite float of at least 0."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) < math.inf:
        raise ValueError(f"`{name}` of {owner} must be a float of at least 0, got {name}={value!r}")
    return float(value)
