"""Heads: what hangs on a model's output. Its loss, with the gradient, and its metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastnn_kernels.instructions import INSTRUCTIONS, NO_CLASS, REDUCTION_MEAN, REDUCTION_SUM, REDUCTION_WEIGHTED_MEAN

from fastnn.lowering.builder import CONTROL, Builder, Tensor
from fastnn.program import BATCH, Operand

if TYPE_CHECKING:
    from fastnn.losses import Loss
    from fastnn.metrics import Metric

REDUCTIONS = {
    "sum": REDUCTION_SUM,
    "mean": REDUCTION_MEAN,
    "sum_over_batch_size": REDUCTION_MEAN,
    "mean_with_sample_weight": REDUCTION_WEIGHTED_MEAN,
}
"""Keras's reductions that make one number of a batch."""


@dataclass(frozen=True)
class Head:
    """The loss and metrics of one output; ``weighted_metrics`` see the sample weights."""

    loss: Loss | None
    loss_weight: float = 1.0
    metrics: Sequence[Metric] = ()
    weighted_metrics: Sequence[Metric] = ()


def row_loss(
    b: Builder,
    op: str,
    output: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    scale: Operand | None = None,
    gradient: bool = False,
    **attributes: Any,
) -> Tensor:
    """Emit the loss instruction ``op``: one value a row, and with ``gradient`` the gradient of the scaled, weighted sum."""
    pred, truth, *_, doutput = (spec.name for spec in INSTRUCTIONS[op].operands)
    values = b.tensor(output.shape[:-1])
    into, accumulate = b.gradient_into(output) if gradient else (None, 0)
    operands: dict[str, Any] = {
        pred: output.matrix,
        truth: target.vector if target.dtype == "i4" else target.matrix,
        "weight": weight and weight.vector,
        "scale": scale,
        "loss": values.vector,
        doutput: into and into.matrix,
    }
    b.emit(op, **operands, accumulate=accumulate, **attributes)
    return values


def row_metric(b: Builder, op: str, output: Tensor, target: Tensor, **attributes: Any) -> Tensor:
    """Emit the metric instruction ``op``: one value a row."""
    pred, truth, value = (spec.name for spec in INSTRUCTIONS[op].operands)
    values = b.tensor(output.shape[:-1])
    operands: dict[str, Any] = {
        pred: output.matrix,
        truth: target.vector if target.dtype == "i4" else target.matrix,
        value: values.vector,
    }
    b.emit(op, **operands, **attributes)
    return values


def target_of(b: Builder, number: int, output: Tensor, kind: str) -> Tensor:
    """The truth for output ``number``: ``"labels"`` (one int32 a row) or ``"dense"`` (the output's own shape)."""
    if kind == "labels":
        return b.input(f"y{number}_labels", output.shape[:-1], "i4")
    return b.input(f"y{number}_dense", output.shape)


def lower_head(b: Builder, number: int, head: Head, output: Tensor, weighted: bool) -> None:
    """Emit the loss and metrics of output ``number``."""
    weight = b.input(f"w{number}", output.shape[:-1]) if weighted else None
    if head.loss is not None:
        _lower_loss(b, number, head.loss, head.loss_weight, output, weight)
    for group, metrics, metric_weight in (("metric", head.metrics, None), ("weighted", head.weighted_metrics, weight)):
        for place, metric in enumerate(metrics):
            values = metric.lower(b, output, target_of(b, number, output, metric.target))
            total = b.total(f"{group}{number}.{place}")
            b.emit("accumulate_mean", value=values.vector, weight=metric_weight and metric_weight.vector, total=total)


def _lower_loss(b: Builder, number: int, loss: Loss, factor: float, output: Tensor, weight: Tensor | None) -> None:
    target = target_of(b, number, output, loss.target)
    scale = _scale(b, loss, target, weight, output.rows, 1.0)
    weighted_scale = scale if factor == 1.0 else _scale(b, loss, target, weight, output.rows, factor)
    values = loss.lower(b, output, target, weight=weight, scale=weighted_scale, gradient=b.training)
    b.emit(
        "accumulate_loss",
        value=values.vector,
        weight=weight and weight.vector,
        scale=scale,
        total=b.total(f"loss{number}"),
        control=CONTROL,
        rows=BATCH * output.rows,
    )


def _scale(b: Builder, loss: Loss, target: Tensor, weight: Tensor | None, rows: int, factor: float) -> Operand:
    """The factor that turns this batch's summed losses into one number, times ``factor``."""
    scale = b.scalar()
    ignored = getattr(loss, "ignore_class", None)
    b.emit(
        "loss_scale",
        weight=weight and weight.vector,
        labels=None if ignored is None else target.vector,
        scale=scale,
        rows=BATCH * rows,
        reduction=REDUCTIONS[str(loss.reduction)],
        factor=float(factor),
        ignore_class=NO_CLASS if ignored is None else int(ignored),
    )
    return scale
