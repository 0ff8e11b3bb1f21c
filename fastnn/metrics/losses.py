"""Losses as metrics: their mean over all rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn import losses
from fastnn.losses import Loss
from fastnn.metrics.base import RowMetric

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor


class LossMetric(RowMetric):
    """The mean of a loss's values, whatever its reduction.

    Parameters
    ----------
    loss : Loss
        One that counts all rows.
    name, dtype
        See `Metric`; the name is by default the loss's.

    Raises
    ------
    ValueError
        For a loss with ``ignore_class``.
    """

    _direction = "down"

    def __init__(self, loss: Loss, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name or loss.name, dtype)
        if loss.ignore_class is not None:
            raise ValueError(
                f"loss {loss.name!r} with ignore_class={loss.ignore_class} cannot be a metric: it has no value for the rows of "
                "that class. Leave ignore_class out"
            )
        self.loss, self.target = loss, loss.target

    def values(self, y_true: Any, y_pred: Any) -> NDArray[np.float64]:
        """One value a row."""
        return self.loss.call(y_true, y_pred)

    def lower(self, b: Builder, output: Tensor, target: Tensor) -> Tensor:
        """Emit the loss's row."""
        return self.loss.lower(b, output, target)


class MeanSquaredError(LossMetric):
    """Mean of ``(y_true - y_pred)**2``.

    Parameters
    ----------
    name, dtype
        See `Metric`.

    Examples
    --------
    >>> float(MeanSquaredError()([[0.0], [1.0]], [[1.0], [4.0]]))
    5.0
    """

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(losses.MeanSquaredError(), name, dtype)


class RootMeanSquaredError(MeanSquaredError):
    """Root of the mean of ``(y_true - y_pred)**2``.

    Parameters
    ----------
    name, dtype
        See `Metric`.

    Examples
    --------
    >>> float(RootMeanSquaredError()([[0.0], [0.0]], [[1.0], [7.0]]))
    5.0
    """

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def finish(self, total: float, count: float) -> float:
        """The root of the mean."""
        return math.sqrt(super().finish(total, count))


class MeanAbsoluteError(LossMetric):
    """Mean of ``|y_true - y_pred|``.

    Parameters
    ----------
    name, dtype
        See `Metric`.

    Examples
    --------
    >>> float(MeanAbsoluteError()([[0.0], [1.0]], [[1.0], [4.0]]))
    2.0
    """

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(losses.MeanAbsoluteError(), name, dtype)


class BinaryCrossentropy(LossMetric):
    """Mean of `fastnn.losses.BinaryCrossentropy`.

    Parameters
    ----------
    name, dtype
        See `Metric`.
    from_logits, label_smoothing
        The loss's.
    """

    def __init__(
        self, name: str = "binary_crossentropy", dtype: Any = None, from_logits: bool = False, label_smoothing: float = 0.0
    ) -> None:
        super().__init__(losses.BinaryCrossentropy(from_logits, label_smoothing), name, dtype)
        self.from_logits, self.label_smoothing = from_logits, label_smoothing

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a metric like this one."""
        return {**super().get_config(), "from_logits": self.from_logits, "label_smoothing": self.label_smoothing}


class CategoricalCrossentropy(LossMetric):
    """Mean of `fastnn.losses.CategoricalCrossentropy`.

    Parameters
    ----------
    name, dtype
        See `Metric`.
    from_logits, label_smoothing, axis
        The loss's.
    """

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        super().__init__(losses.CategoricalCrossentropy(from_logits, label_smoothing, axis), name, dtype)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a metric like this one."""
        own = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing, "axis": self.axis}
        return {**super().get_config(), **own}


class SparseCategoricalCrossentropy(LossMetric):
    """Mean of `fastnn.losses.SparseCategoricalCrossentropy`.

    Parameters
    ----------
    name, dtype
        See `Metric`.
    from_logits, axis
        The loss's.
    ignore_class : None
        Not supported.
    """

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis), name, dtype)
        self.from_logits, self.axis = from_logits, axis

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a metric like this one."""
        return {**super().get_config(), "from_logits": self.from_logits, "axis": self.axis}
