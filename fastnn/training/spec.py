"""What ``compile`` was told, spread over the model's outputs: losses, their weights, metrics, and the names they go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastnn import losses, metrics
from fastnn.losses import BinaryCrossentropy, CategoricalCrossentropy, Loss
from fastnn.lowering.heads import Head
from fastnn.metrics import Metric
from fastnn.training.data import Target

Shape = tuple[int, ...]
Totals = Mapping[str, tuple[float, float]]

BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")
"""Names that stand for one thing or another, by the shapes of y and of the output."""


@dataclass(frozen=True)
class Compiled:
    """The arguments of ``compile`` as they came."""

    loss: Any = None
    loss_weights: Any = None
    metrics: Any = None
    weighted_metrics: Any = None

    def check(self) -> None:
        """Refuse unknown names and wrong containers now rather than at the first batch.

        Raises
        ------
        ValueError
        """
        for argument, value in (("metrics", self.metrics), ("weighted_metrics", self.weighted_metrics)):
            if value is not None and not isinstance(value, list | tuple | Mapping):
                raise ValueError(
                    f"{argument} must be a list or a dict, got {value!r}: write {argument}=[{value!r}]"
                    if isinstance(value, str)
                    else f"{argument} must be a list or a dict, got {value!r} of type {type(value).__name__}"
                )
            for identifier in _leaves(value):
                if identifier is not None and not _by_shape(identifier):
                    metrics.get(identifier)
        for identifier in _leaves(self.loss):
            if identifier is not None and not _by_shape(identifier):
                losses.get(identifier)

    def resolve(self, names: Sequence[str], shapes: Sequence[Shape], targets: Sequence[Shape | None]) -> Resolved:
        """The heads of a model with outputs ``names`` of one sample's ``shapes``, for targets of one sample's shapes ``targets``.

        Raises
        ------
        ValueError
            When an argument does not fit the outputs, or no output has a loss.
        """
        count = len(names)
        identifiers = _spread_loss(self.loss, names, "loss")
        weights = _spread_weights(self.loss_weights, names, identifiers)
        groups = [_spread_metrics(value, names, what) for what, value in self._metric_arguments()]
        if all(identifier is None for identifier in identifiers):
            raise ValueError("No loss to compute. Provide a `loss` argument in `compile()`, such as loss='mse'.")
        heads = []
        for place in range(count):
            shape, target = (None, *shapes[place]), (None, *(targets[place] or ()))
            identifier = identifiers[place]
            loss = None if identifier is None else losses.resolve(identifier, shape, target)
            plain, weighted = ([metrics.resolve(one, shape, target) for one in group[place]] for group in groups)
            heads.append(Head(loss, weights[place], plain, weighted))
        return Resolved(list(names), list(shapes), heads)

    def _metric_arguments(self) -> list[tuple[str, Any]]:
        return [("metrics", self.metrics), ("weighted_metrics", self.weighted_metrics)]


class Resolved:
    """The heads of a model's outputs ``names`` with one sample's ``shapes``, and what to read from a session's totals."""

    def __init__(self, names: list[str], shapes: list[Shape], heads: list[Head]) -> None:
        self.names, self.shapes, self.heads = names, shapes, heads
        self._losses = [(f"loss{place}", head.loss_weight, name) for place, name, head in self._with_loss()]
        self._metrics = list(_metric_keys(names, heads))

    def _with_loss(self) -> Iterator[tuple[int, str, Head]]:
        for place, (name, head) in enumerate(zip(self.names, self.heads, strict=True)):
            if head.loss is not None:
                yield place, name, head

    @property
    def metrics(self) -> dict[str, Metric]:
        """Metrics by their key in ``logs``."""
        return {key: metric for key, _, metric in self._metrics}

    @property
    def directions(self) -> dict[str, int]:
        """1 for a key in ``logs`` whose value is to rise, -1 for one that is to fall."""
        signs = {"up": 1, "down": -1}
        found = {key: signs[metric._direction] for key, metric in self.metrics.items() if metric._direction in signs}
        return {"loss": -1} | dict.fromkeys(self.order[1 : 1 + len(self._losses)], -1) | found

    @property
    def order(self) -> list[str]:
        """Keys in the order of ``evaluate``'s list, as in Keras: metrics as compiled; with several outputs by name."""
        keys = [key for key, _, _ in self._metrics]
        each = [f"{name}_loss" for _, _, name in self._losses] if len(self._losses) > 1 else []
        return ["loss", *each, *(keys if len(self.names) == 1 else sorted(keys))]

    def logs(self, totals: Totals) -> dict[str, float]:
        """Loss and metrics by name, in alphabetical order as in Keras."""
        means = {name: total / count if count else 0.0 for name, (total, count) in totals.items()}
        found = {"loss": float(sum(weight * means[total] for total, weight, _ in self._losses))}
        if len(self._losses) > 1:
            found.update((f"{name}_loss", means[total]) for total, _, name in self._losses)
        for key, total, metric in self._metrics:
            found[key] = float(metric.finish(*totals[total]))
        return dict(sorted(found.items()))

    def targets(self, names: Sequence[str]) -> list[Target]:
        """What each output needs of y; ``names`` are for errors."""
        return [_target(head, shape, name) for head, shape, name in zip(self.heads, self.shapes, names, strict=True)]


def _target(head: Head, shape: Shape, name: str) -> Target:
    parts: list[Loss | Metric] = [*([] if head.loss is None else [head.loss]), *head.metrics, *head.weighted_metrics]
    takers: dict[str, str] = {}
    for part in parts:
        takers.setdefault(part.target, f"{'loss' if part is head.loss else 'metric'} {part.name!r}")
    ignore_class = getattr(head.loss, "ignore_class", None)
    probabilities = isinstance(head.loss, BinaryCrossentropy | CategoricalCrossentropy)
    return Target(name, shape, takers.get("labels"), takers.get("dense"), ignore_class, probabilities)


def _metric_keys(names: Sequence[str], heads: Sequence[Head]) -> Iterator[tuple[str, str, Metric]]:
    """``(key in logs, name of the total, metric)``; a key that is taken gets ``_1``, a weighted one ``weighted_`` first."""
    taken: dict[str, int] = {}
    for weighted, group in enumerate(("metric", "weighted")):
        for place, (output, head) in enumerate(zip(names, heads, strict=True)):
            prefix = f"{output}_" if len(names) > 1 else ""
            for number, metric in enumerate(head.weighted_metrics if weighted else head.metrics):
                key = f"{prefix}{metric.name}"
                if weighted and key in taken:
                    key = f"{prefix}weighted_{metric.name}"
                count = taken.get(key, 0)
                taken[key] = count + 1
                yield f"{key}_{count}" if count else key, f"{group}{place}.{number}", metric


def _by_shape(identifier: Any) -> bool:
    return isinstance(identifier, str) and identifier.lower() in BY_SHAPE


def _leaves(value: Any) -> Iterator[Any]:
    """The identifiers in nested lists and dicts."""
    if isinstance(value, Mapping) and "class_name" not in value:
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _by_name(value: Mapping[str, Any], names: Sequence[str], argument: str) -> list[Any]:
    if unknown := set(value) - set(names):
        raise ValueError(f"{argument} names the outputs {sorted(map(str, unknown))}; the model's outputs are {list(names)}")
    return [value.get(name) for name in names]


def _spread_loss(loss: Any, names: Sequence[str], argument: str) -> list[Any]:
    """One identifier per output."""
    if isinstance(loss, Mapping) and "class_name" not in loss:
        return _by_name(loss, names, argument)
    if not isinstance(loss, list | tuple):
        return [loss] * len(names)
    if len(loss) != len(names):
        raise ValueError(f"{argument} has {len(loss)} entries, {list(loss)}; the model has {len(names)} outputs: {list(names)}")
    return list(loss)


def _spread_weights(weights: Any, names: Sequence[str], identifiers: Sequence[Any]) -> list[float]:
    """One factor per output; 1 where none is given."""
    if weights is None:
        return [1.0] * len(names)
    if isinstance(weights, int | float):
        if len(names) > 1:
            raise ValueError(f"loss_weights must be a list or a dict, one per output {list(names)}; got {weights!r}")
        return [float(weights)]
    if isinstance(weights, Mapping):
        found = _by_name(weights, names, "loss_weights")
    elif isinstance(weights, list | tuple):
        found = list(weights)
    else:
        raise ValueError(f"loss_weights must be a number, a list or a dict, got {weights!r} of type {type(weights).__name__}")
    lossless = sum(identifier is None for identifier in identifiers)
    if len(found) == len(names) - lossless < len(names):  # weights for the losses there are
        left = iter(found)
        found = [None if identifier is None else next(left) for identifier in identifiers]
    if len(found) != len(names):
        raise ValueError(f"loss_weights must match the losses: got {len(found)} for the outputs {list(names)}")
    return [1.0 if weight is None else float(weight) for weight in found]


def _spread_metrics(value: Any, names: Sequence[str], argument: str) -> list[list[Any]]:
    """A list of identifiers per output."""
    if not value:
        return [[] for _ in names]
    if len(names) == 1:
        if isinstance(value, Mapping):
            value = _by_name(value, names, argument)
        return [_present(_leaves(value))]
    if isinstance(value, Mapping):
        return [_present(_leaves(item)) for item in _by_name(value, names, argument)]
    if len(value) != len(names):
        raise ValueError(
            f"{argument} must have one entry per output, a name or a list of names, or be a dict by output; "
            f"got {list(value)} for the outputs {list(names)}"
        )
    return [_present(_leaves(item)) for item in value]


def _present(identifiers: Iterable[Any]) -> list[Any]:
    return [identifier for identifier in identifiers if identifier is not None]
