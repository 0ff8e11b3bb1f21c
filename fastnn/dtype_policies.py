"""Policies: in which dtype a layer computes, and in which it keeps its weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn.config import FLOAT_TYPES, dtype_policy
from fastnn.errors import near_matches, refuse_names

__all__ = ["DTypePolicy", "deserialize", "get", "serialize"]

refuse_names(__name__)

_DTYPES = {**{name: (name, name) for name in FLOAT_TYPES}, "mixed_bfloat16": ("bfloat16", "float32")}
"""By name the dtypes of a policy: of what is multiplied, and of the weights."""

_INSTEAD = {
    "bfloat16": "write 'mixed_bfloat16', which multiplies bfloat16 numbers and keeps the weights in float32",
    "float16": "write 'mixed_bfloat16', which multiplies numbers of 16 bits and keeps the weights in float32",
    "mixed_float16": "write 'mixed_bfloat16', which is as fast on a GPU and needs no scaling of the loss",
}


class DTypePolicy:
    """The dtypes of a layer, by one name.

    With ``"mixed_bfloat16"`` the products of a Dense layer, those of its gradients included, are of numbers rounded to bfloat16,
    and their sums are float32. All else is float32: weights, inputs and outputs, biases, activations, losses and updates. NumPy
    has no bfloat16, so outputs are float32 arrays, where Keras has bfloat16.

    Parameters
    ----------
    name : str
        ``"float32"``, ``"float64"`` or ``"mixed_bfloat16"``.

    Raises
    ------
    TypeError
        If ``name`` is not a string.
    ValueError
        For any other name; it says what to write instead.

    Examples
    --------
    >>> policy = DTypePolicy("mixed_bfloat16")
    >>> policy.compute_dtype, policy.variable_dtype
    ('bfloat16', 'float32')
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"name must be a string such as 'mixed_bfloat16', got {name!r}")
        if name not in _DTYPES:
            close = near_matches(name, _DTYPES, count=1)
            advice = _INSTEAD.get(name) or (f"did you mean {close[0]!r}?" if close else "")
            raise ValueError(
                f"dtype must be {', '.join(map(repr, _DTYPES))} or a DTypePolicy, got {name!r}" + (f": {advice}" if advice else "")
            )
        self._name = name

    @property
    def name(self) -> str:
        """The policy's name."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """The dtype of what is multiplied."""
        return _DTYPES[self._name][0]

    @property
    def variable_dtype(self) -> str:
        """The dtype of weights."""
        return _DTYPES[self._name][1]

    def get_config(self) -> dict[str, str]:
        """The argument that makes a policy like this one."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, str]) -> DTypePolicy:
        """A policy made from what `get_config` returned."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DTypePolicy) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<DTypePolicy "{self._name}">'


def get(identifier: Any) -> DTypePolicy:
    """The policy for a name, a dtype, a configuration or a policy; None: `fastnn.config.dtype_policy`.

    Raises
    ------
    TypeError, ValueError
        As `DTypePolicy`; or if it is no dtype either.

    Examples
    --------
    >>> get("float64")
    <DTypePolicy "float64">
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        return deserialize(identifier)
    try:
        name = identifier if isinstance(identifier, str) else np.dtype(identifier).name
    except TypeError:
        raise TypeError(
            f"a dtype policy must be a name such as 'mixed_bfloat16', a dtype or a DTypePolicy, got {identifier!r}"
        ) from None
    return DTypePolicy(name)


def serialize(dtype_policy: DTypePolicy) -> dict[str, Any]:
    """``{"class_name": "DTypePolicy", "config": {"name": ...}}``."""
    return {"class_name": "DTypePolicy", "config": dtype_policy.get_config()}


def deserialize(config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> DTypePolicy:
    """The inverse of `serialize`.

    >>> deserialize(serialize(DTypePolicy("float32")))
    <DTypePolicy "float32">
    """
    if (
        not isinstance(config, dict)
        or not isinstance(config.get("config"), dict)
        or config.get("class_name") not in ("DTypePolicy", "Policy")
    ):
        raise ValueError(f"config must be what serialize() returns, of class 'DTypePolicy', got {config!r}")
    return DTypePolicy.from_config(config["config"])
