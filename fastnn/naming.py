"""Automatic names of layers and models: ``dense``, ``dense_1``, ...; counted per process as in Keras."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

_counters: dict[str, Iterator[int]] = {}


def unique_name(prefix: str) -> str:
    """``prefix`` the first time, then ``prefix_1``, ``prefix_2``, ..."""
    number = next(_counters.setdefault(prefix, itertools.count()))
    return f"{prefix}_{number}" if number else prefix


def snake_case(name: str) -> str:
    """A class's name as Keras spells it in automatic names.

    >>> snake_case("InputLayer"), snake_case("RMSprop"), snake_case("Dense")
    ('input_layer', 'rm_sprop', 'dense')
    """
    split = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name))
    return re.sub(r"\W", "", split).lower()


def reset_names() -> None:
    """Start counting again."""
    _counters.clear()
