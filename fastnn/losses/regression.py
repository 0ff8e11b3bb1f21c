"""Losses of predictions that are numbers."""

from __future__ import annotations

from typing import Any

from fastnn.losses.base import Loss


class MeanSquaredError(Loss):
    """``mean((y_true - y_pred)**2)`` over the last axis.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.

    Examples
    --------
    >>> float(MeanSquaredError()([[0.0, 1.0]], [[1.0, 3.0]]))
    2.5
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, reduction, dtype)

    def instruction(self) -> tuple[str, dict[str, float]]:
        """``mean_squared_error``."""
        return "mean_squared_error", {}


class MeanAbsoluteError(Loss):
    """``mean(|y_true - y_pred|)`` over the last axis.

    Parameters
    ----------
    reduction, name, dtype
        See `Loss`.

    Examples
    --------
    >>> float(MeanAbsoluteError()([[0.0, 1.0]], [[1.0, 3.0]]))
    1.5
    """

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(name, reduction, dtype)

    def instruction(self) -> tuple[str, dict[str, float]]:
        """``mean_absolute_error``."""
        return "mean_absolute_error", {}
