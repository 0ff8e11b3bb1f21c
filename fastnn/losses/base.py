"""Loss: what training makes small."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fastnn.config import floatx
from fastnn.losses.arrays import align_weight, as_result, row_values
from fastnn.naming import snake_case, unique_name
from fastnn.tensor import Tensor as ArrayTensor

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor
    from fastnn.program import Operand

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none")
"""Keras's names; None is ``"none"``."""


class Loss:
    """Base of all losses: one value for each row of predictions, then one number of them.

    Parameters
    ----------
    name : str, optional
        By default the class's, with a number.
    reduction : str or None
        ``"sum_over_batch_size"`` or ``"mean"``: the sum divided by the rows that count, not by the weights;
        ``"mean_with_sample_weight"``: divided by the weights; ``"sum"``; ``"none"`` or None: the values themselves.
    dtype : str, optional
        Of results; by default `fastnn.config.floatx`. Computed in float64.

    Attributes
    ----------
    target : str
        ``"labels"`` (one class number a row) or ``"dense"`` (y_true has the shape of y_pred).

    Raises
    ------
    ValueError
        For a reduction that is none of these.
    """

    target = "dense"
    ignore_class: int | None = None

    def __init__(self, name: str | None = None, reduction: str | None = "sum_over_batch_size", dtype: Any = None) -> None:
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.reduction = "none" if reduction is None else reduction
        if self.reduction not in REDUCTIONS:
            raise ValueError(
                f"`reduction` must be one of {', '.join(map(repr, REDUCTIONS))} or None. Received: reduction={reduction!r}"
            )
        self._dtype = None if dtype is None else np.dtype(dtype).name

    @property
    def dtype(self) -> str:
        """Dtype of results."""
        return self._dtype or floatx()

    # -- what a loss defines ---------------------------------------------------------------------------------------------

    def instruction(self) -> tuple[str, dict[str, float]]:
        """Name of the loss's instruction on plain predictions, and its attributes."""
        raise TypeError(
            f"loss {self.name!r} of class {type(self).__name__} cannot be compiled: losses of your own are not supported yet"
        )

    def lower(
        self,
        b: Builder,
        output: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        scale: Operand | None = None,
        gradient: bool = False,
    ) -> Tensor:
        """Emit the loss's row; returns one value a row of ``output``."""
        from fastnn.lowering.heads import row_loss

        op, attributes = self.instruction()
        return row_loss(b, op, output, target, weight, scale, gradient, **attributes)

    # -- on arrays -------------------------------------------------------------------------------------------------------

    def call(self, y_true: Any, y_pred: Any) -> NDArray[np.float64]:
        """One value a row, unweighted: shape ``y_pred.shape[:-1]``."""
        op, attributes = self.instruction()
        return row_values(op, self.target, y_true, y_pred, **attributes)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> ArrayTensor:
        """The loss of an array of predictions.

        Parameters
        ----------
        y_true : array_like
            Class numbers (...,) or (..., 1) where `target` is ``"labels"``, else the shape of ``y_pred``.
        y_pred : array_like
            (..., C).
        sample_weight : array_like, optional
            A factor for each row, or for each sample.

        Returns
        -------
        ndarray
            A scalar; one value a row when `reduction` is ``"none"``.

        Raises
        ------
        ValueError
            If shapes do not fit, or a label is no class.
        """
        values = np.asarray(self.call(y_true, y_pred), np.float64)
        counts = self._counts(y_true, values.shape)
        weights = counts if sample_weight is None else counts * align_weight(sample_weight, values.shape)
        return as_result(_reduce(values, weights, counts, self.reduction), self.dtype)

    def _counts(self, y_true: Any, shape: tuple[int, ...]) -> NDArray[np.float64]:
        """1 for each row that counts, 0 for one of the ignored class."""
        if self.ignore_class is None:
            return np.ones(shape)
        return (np.asarray(y_true).reshape(shape) != self.ignore_class).astype(np.float64)

    # -- configuration ---------------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a loss like this one."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A loss made from what `get_config` returned."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, reduction={self.reduction}>"


def _reduce(values: NDArray, weights: NDArray, counts: NDArray, reduction: str) -> Any:
    weighted = values * weights
    if reduction == "none":
        return weighted
    divisor = {"sum": 1.0, "mean_with_sample_weight": weights.sum()}.get(reduction, counts.sum())
    return weighted.sum() / divisor if divisor else 0.0
