"""Metrics by every name that Keras accepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from fastnn import losses
from fastnn.errors import not_one_of, refuse_overrides, unknown
from fastnn.losses.registry import CLASS_OF, as_loss, classification_kind
from fastnn.metrics import accuracy
from fastnn.metrics import losses as loss_metrics
from fastnn.metrics.base import Mean, Metric
from fastnn.naming import snake_case

_ACCURACIES: dict[Callable[..., Any], type[Metric]] = {
    accuracy.binary_accuracy: accuracy.BinaryAccuracy,
    accuracy.categorical_accuracy: accuracy.CategoricalAccuracy,
    accuracy.sparse_categorical_accuracy: accuracy.SparseCategoricalAccuracy,
}

_CLASSES: tuple[type[Metric], ...] = (
    *_ACCURACIES.values(),
    loss_metrics.MeanSquaredError,
    loss_metrics.MeanAbsoluteError,
    loss_metrics.RootMeanSquaredError,
    loss_metrics.BinaryCrossentropy,
    loss_metrics.CategoricalCrossentropy,
    loss_metrics.SparseCategoricalCrossentropy,
)

_SHORT = {
    "mse": loss_metrics.MeanSquaredError,
    "mae": loss_metrics.MeanAbsoluteError,
    "bce": loss_metrics.BinaryCrossentropy,
}

_BY_NAME: dict[str, Any] = {
    **{snake_case(cls.__name__): cls for cls in _CLASSES},
    **{cls.__name__: cls for cls in _CLASSES},
    **_SHORT,
    **{name.upper(): cls for name, cls in _SHORT.items()},
    "mean": Mean,
    "Mean": Mean,
}

_BY_SHAPE = ("accuracy", "acc")


def get(identifier: Any) -> Any:
    """The metric for a name, a configuration, a class, a metric, a loss, or a function of losses or metrics; None for None.

    Returns
    -------
    Metric, Loss or callable
        A new metric for a name or a class, otherwise what was given.

    Raises
    ------
    ValueError
        For a name that is not known, and for a function of your own, which is not supported yet. ``"accuracy"`` is known to
        ``compile`` alone, because it depends on shapes.
    TypeError
        For a metric of a class of your own whose ``update_state`` or ``result`` would be ignored.

    Examples
    --------
    >>> get("mae")
    <MeanAbsoluteError name=mean_absolute_error>
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            raise unknown("metric", identifier, (*_BY_SHAPE, *_BY_NAME))
        return _BY_NAME[identifier]()
    if isinstance(identifier, type) and issubclass(identifier, Metric | losses.Loss):
        identifier = identifier()
    if isinstance(identifier, Metric):
        advice = "Metrics of your own are not supported yet in compile: use those of fastnn.metrics, or a callback"
        refuse_overrides(type(identifier), ("update_state", "result", "values", "__call__"), advice)
    if isinstance(identifier, losses.Loss):
        return losses.get(identifier)
    if identifier is None or isinstance(identifier, Metric):
        return identifier
    function = identifier.func if isinstance(identifier, partial) else identifier
    if not callable(function) or (function not in _ACCURACIES and function not in CLASS_OF):
        raise not_one_of("metric", identifier, (*_BY_SHAPE, *_BY_NAME))
    return identifier


def resolve(identifier: Any, output_shape: Sequence[int | None], target_shape: Sequence[int | None]) -> Metric:
    """The `Metric` that ``compile(metrics=[identifier])`` means for an output; both shapes with the batch first.

    ``"accuracy"`` and ``"acc"`` are, as in Keras, `BinaryAccuracy` for an output with one value, `SparseCategoricalAccuracy` where
    y has fewer axes than the output (or one value for several classes), else `CategoricalAccuracy`. A metric found by its name
    carries that name.

    Raises
    ------
    ValueError
        For a name that is not known, or a metric that takes no predictions.
    """
    if isinstance(identifier, str) and identifier.lower() in _BY_SHAPE:
        kinds: dict[str, Callable[..., Metric]] = {
            "binary": accuracy.BinaryAccuracy,
            "sparse": accuracy.SparseCategoricalAccuracy,
            "categorical": accuracy.CategoricalAccuracy,
        }
        return kinds[classification_kind(output_shape, target_shape)](name=identifier)
    metric = _as_metric(get(identifier))
    if isinstance(metric, Mean):
        raise ValueError(f"metric {metric.name!r} is the mean of any values: it takes no y_true and y_pred, so fit cannot feed it")
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


def _as_metric(found: Any) -> Metric:
    if isinstance(found, Metric):
        return found
    function = found.func if isinstance(found, partial) else found
    if not isinstance(found, losses.Loss) and function in _ACCURACIES:
        keywords = found.keywords if isinstance(found, partial) else {}
        return _ACCURACIES[function](**keywords)
    return loss_metrics.LossMetric(as_loss(found))


def serialize(metric: Any) -> Any:
    """``{"class_name": ..., "config": ...}`` of a metric, the name of a function."""
    if isinstance(metric, Metric | losses.Loss):
        return {"class_name": type(metric).__name__, "config": metric.get_config()}
    return metric.__name__


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """The inverse of `serialize`."""
    if isinstance(config, str):
        return get(config)
    known = {**{cls.__name__: cls for cls in (*_CLASSES, Mean)}, **(custom_objects or {})}
    if config["class_name"] not in known:
        raise unknown("metric", config["class_name"], known)
    return known[config["class_name"]].from_config(config.get("config", {}))
