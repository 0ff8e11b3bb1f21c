"""Metric: what is reported of a model beside its loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn.config import floatx
from fastnn.losses.arrays import align_weight, as_result
from fastnn.naming import snake_case, unique_name
from fastnn.tensor import Tensor as ArrayTensor

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor


class Metric:
    """Base of all metrics: `update_state` batch by batch, `result`, `reset_state`.

    Parameters
    ----------
    dtype : str, optional
        Of results; by default `fastnn.config.floatx`. Sums are kept in float64.
    name : str, optional
        By default the class's, with a number.

    Attributes
    ----------
    target : str
        ``"labels"`` (one class number a row) or ``"dense"`` (y_true has the shape of y_pred).
    """

    target = "dense"
    _direction: str | None = None
    """``"up"`` or ``"down"``: whether more or less is better."""

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        self.name = name or unique_name(snake_case(type(self).__name__))
        self._dtype = None if dtype is None else np.dtype(dtype).name
        self._total, self._count = 0.0, 0.0

    @property
    def dtype(self) -> str:
        """Dtype of results."""
        return self._dtype or floatx()

    def update_state(self, *args: Any, **kwargs: Any) -> None:
        """Add a batch."""
        raise TypeError(f"metric class {type(self).__name__} must define update_state")

    def finish(self, total: float, count: float) -> float:
        """The result of a sum of values and the sum of their weights: the mean, 0 of nothing."""
        return total / count if count else 0.0

    def result(self) -> ArrayTensor:
        """The value so far: a scalar."""
        return as_result(self.finish(self._total, self._count), self.dtype)

    def reset_state(self) -> None:
        """Begin again."""
        self._total, self._count = 0.0, 0.0

    def __call__(self, *args: Any, **kwargs: Any) -> ArrayTensor:
        """`update_state`, then `result`."""
        self.update_state(*args, **kwargs)
        return self.result()

    def lower(self, b: Builder, output: Tensor, target: Tensor) -> Tensor:
        """Emit the metric's row; returns one value a row of ``output``."""
        raise TypeError(
            f"metric {self.name!r} of class {type(self).__name__} cannot be compiled: metrics of your own are not supported yet"
        )

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a metric like this one."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A metric made from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"

    def _add(self, values: NDArray[np.float64], sample_weight: Any) -> None:
        weights = np.ones(values.shape) if sample_weight is None else align_weight(sample_weight, values.shape)
        self._total += float((values * weights).sum())
        self._count += float(weights.sum())


class Mean(Metric):
    """The weighted mean of values.

    Parameters
    ----------
    name, dtype
        See `Metric`.

    Examples
    --------
    >>> mean = Mean()
    >>> mean.update_state([1.0, 3.0])
    >>> mean.update_state(8.0)
    >>> float(mean.result())
    4.0
    """

    def __init__(self, name: str = "mean", dtype: Any = None) -> None:
        super().__init__(dtype, name)

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, each with its weight (by default 1)."""
        self._add(np.asarray(values, np.float64), sample_weight)


class RowMetric(Metric):
    """Base of metrics that are the mean of one value a row."""

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(dtype, name)

    def values(self, y_true: Any, y_pred: Any) -> NDArray[np.float64]:
        """One value a row: shape ``y_pred.shape[:-1]``."""
        raise TypeError(f"metric class {type(self).__name__} must define values(y_true, y_pred)")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch.

        Parameters
        ----------
        y_true : array_like
            Class numbers (...,) or (..., 1) where `target` is ``"labels"``, else the shape of ``y_pred``.
        y_pred : array_like
            (..., C).
        sample_weight : array_like, optional
            A factor for each row, or for each sample.

        Raises
        ------
        ValueError
            If shapes do not fit, or a label is no class.
        """
        self._add(np.asarray(self.values(y_true, y_pred)), sample_weight)
