"""Cross-entropies. On a softmax or sigmoid output they are always computed from its input, in one exact step."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from fastnn_kernels.instructions import NO_CLASS
from fastnn_kernels.warn import warn

from fastnn.losses.base import Loss

if TYPE_CHECKING:
    from fastnn.lowering.builder import Builder, Tensor
    from fastnn.program import Operand


class CrossEntropy(Loss):
    """Base of the cross-entropies.

    Attributes
    ----------
    activation, on_logits, on_probabilities : str
        What turns logits into probabilities, and the instructions for the two.
    """

    activation: str
    on_logits: str
    on_probabilities: str

    def __init__(self, from_logits: bool, axis: int, name: str, reduction: str | None, dtype: Any) -> None:
        super().__init__(name, reduction, dtype)
        if axis != -1:
            raise ValueError(f"`axis` of {name} must be -1, the last one, got axis={axis!r}")
        self.from_logits, self.axis = bool(from_logits), axis
        self._has_warned = False

    def attributes(self) -> dict[str, float]:
        """Attributes of both instructions."""
        raise TypeError(f"class {type(self).__name__} must define attributes()")

    def instruction(self) -> tuple[str, dict[str, float]]:
        """The instruction on logits or on probabilities, whichever ``from_logits`` says."""
        return (self.on_logits if self.from_logits else self.on_probabilities), self.attributes()

    def lower(
        self,
        b: Builder,
        output: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        scale: Operand | None = None,
        gradient: bool = False,
    ) -> Tensor:
        """Emit the loss's row; on the logits when ``output`` was made of them."""
        from fastnn.lowering.heads import row_loss

        op, attributes = self.instruction()
        logits = b.source(output, self.activation)
        if logits is not None:
            if self.from_logits and not self._has_warned:
                self._has_warned = True
                warn(
                    f"{self.name} was given from_logits=True, but the output is a {self.activation}, which gives probabilities: "
                    f"the {self.activation}'s input is used as logits. Leave from_logits out, or the activation"
                )
            op, output = self.on_logits, logits
        return row_loss(b, op, output, target, weight, scale, gradient, **attributes)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a loss like this one."""
        return {**super().get_config(), "from_logits": self.from_logits, "axis": self.axis}


class _Smoothed(CrossEntropy):
    """A cross-entropy with label smoothing."""

    def __init__(self, from_logits: bool, label_smoothing: float, axis: int, reduction: str | None, name: str, dtype: Any) -> None:
        super().__init__(from_logits, axis, name, reduction, dtype)
        if not 0.0 <= label_smoothing <= 1.0:
            raise ValueError(f"`label_smoothing` must be from 0 to 1, got label_smoothing={label_smoothing!r}")
        self.label_smoothing = float(label_smoothing)

    def attributes(self) -> dict[str, float]:
        """``label_smoothing``."""
        return {"label_smoothing": self.label_smoothing}

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a loss like this one."""
        return {**super().get_config(), "label_smoothing": self.label_smoothing}


class BinaryCrossentropy(_Smoothed):
    """``-mean(y log p + (1 - y) log(1 - p))`` over the last axis.

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits x, with ``p = sigmoid(x)``; then, and on a sigmoid output, the value is exact. Otherwise p
        is clipped to [1e-7, 1 - 1e-7].
    label_smoothing : float
        s: y becomes ``y * (1 - s) + s / 2``.
    axis : int
        -1.
    reduction, name, dtype
        See `Loss`.

    Examples
    --------
    >>> round(float(BinaryCrossentropy()([[1.0]], [[0.5]])), 4)
    0.6931
    """

    activation, on_logits, on_probabilities = "sigmoid", "sigmoid_cross_entropy", "binary_cross_entropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)


class CategoricalCrossentropy(_Smoothed):
    """``-sum(y log p)`` over the classes, y one-hot or any distribution.

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits x, with ``p = softmax(x)``; then, and on a softmax output, the value is exact. Otherwise p
        is divided by its sum and clipped to [1e-7, 1 - 1e-7].
    label_smoothing : float
        s: y becomes ``y * (1 - s) + s / C``.
    axis : int
        -1.
    reduction, name, dtype
        See `Loss`.

    Examples
    --------
    >>> round(float(CategoricalCrossentropy()([[0.0, 1.0]], [[0.5, 0.5]])), 4)
    0.6931
    """

    activation, on_logits, on_probabilities = "softmax", "softmax_cross_entropy_dense", "categorical_cross_entropy"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)


class SparseCategoricalCrossentropy(CrossEntropy):
    """``-log p[y]``, y a class number.

    Parameters
    ----------
    from_logits : bool
        Whether predictions are logits x, with ``p = softmax(x)``; then, and on a softmax output, the value is exact. Otherwise p
        is divided by its sum and clipped to [1e-7, 1 - 1e-7].
    ignore_class : int, optional
        Rows with this label count as nothing.
    reduction, name, dtype
        See `Loss`.
    axis : int
        -1.

    Examples
    --------
    >>> round(float(SparseCategoricalCrossentropy()([1], [[0.5, 0.5]])), 4)
    0.6931
    """

    target = "labels"
    activation, on_logits, on_probabilities = "softmax", "softmax_cross_entropy", "sparse_categorical_cross_entropy"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(from_logits, axis, name, reduction, dtype)
        self.ignore_class = None if ignore_class is None else operator.index(ignore_class)
        if self.ignore_class is not None and not NO_CLASS < self.ignore_class < -NO_CLASS:
            raise ValueError(f"ignore_class={ignore_class} is no label: labels are 32-bit integers, above -2**31 and below 2**31")

    def attributes(self) -> dict[str, float]:
        """``ignore_class``."""
        return {"ignore_class": NO_CLASS if self.ignore_class is None else self.ignore_class}

    def get_config(self) -> dict[str, Any]:
        """The arguments that make a loss like this one."""
        return {**super().get_config(), "ignore_class": self.ignore_class}
