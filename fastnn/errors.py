"""Texts of errors about names: what came, what was perhaps meant, what is known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

HINTS = {
    ("loss", "rmse"): "minimise 'mse' instead, it has the same minimum; to see it while training write "
    "metrics=['root_mean_squared_error']",
    ("loss", "root_mean_squared_error"): "minimise 'mse' instead, it has the same minimum; to see it while training write "
    "metrics=['root_mean_squared_error']",
    ("metric", "rmse"): "write 'root_mean_squared_error', or fastnn.metrics.RootMeanSquaredError()",
    ("loss", "accuracy"): "accuracy has no gradient: write loss='sparse_categorical_crossentropy' for integer labels, "
    "'categorical_crossentropy' for one-hot labels or 'binary_crossentropy' for 0/1 labels, and metrics=['accuracy']",
    ("loss", "cross_entropy"): "write 'sparse_categorical_crossentropy' for integer labels, 'categorical_crossentropy' for "
    "one-hot labels or 'binary_crossentropy' for 0/1 labels",
}
"""What to write instead, for names that are often tried and that no spelling distance would find: ``(kind, lower-case name)``."""


def unknown(kind: str, name: object, known: Iterable[str]) -> ValueError:
    """The error for a ``name`` of a ``kind`` ("loss", "metric", "optimizer", ...) that is not among ``known``.

    >>> unknown("activation function", "rleu", ["relu", "tanh"])
    ValueError("Could not interpret activation function identifier: 'rleu'. Did you mean 'relu'? Known: 'relu', 'tanh'.")
    """
    names = list(known)
    parts = [f"Could not interpret {kind} identifier: {name!r}."]
    hint = HINTS.get((kind, str(name).lower()))
    if hint:
        parts.append(f"For this, {hint}.")
    elif close := near_matches(str(name), names):
        parts.append(f"Did you mean {' or '.join(map(repr, close))}?")
    parts.append(f"Known: {', '.join(map(repr, names))}.")
    return ValueError(" ".join(parts))


def near_matches(name: str, known: Iterable[str], count: int = 2) -> list[str]:
    """The names in ``known`` that look like ``name``, best first; letter case and underscores do not matter.

    >>> near_matches("ReLu", ["relu", "selu", "tanh"], count=1)
    ['relu']
    """

    def plain(text: str) -> str:
        return text.lower().replace("_", "")

    by_plain: dict[str, str] = {}
    for candidate in known:
        by_plain.setdefault(plain(candidate), candidate)
    return [by_plain[match] for match in difflib.get_close_matches(plain(name), list(by_plain), n=count, cutoff=0.6)]
