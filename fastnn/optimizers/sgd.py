"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from fastnn.optimizers.arguments import fraction
from fastnn.optimizers.base import Optimizer


class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    ``velocity = momentum * velocity - learning_rate * g; w += velocity``; with Nesterov's form
    ``w += momentum * velocity - learning_rate * g`` (Sutskever et al. 2013).

    Parameters
    ----------
    learning_rate : float
        Step size.
    momentum : float
        From 0 to 1.
    nesterov : bool
        Whether to look ahead; without momentum it changes nothing.
    name : str, optional
        See `Optimizer`.
    **kwargs
        See `Optimizer`.

    Raises
    ------
    ValueError
        If ``momentum`` is not from 0 to 1.

    Examples
    --------
    >>> SGD(0.1, momentum=0.9).state
    (('velocity', 0.0),)
    """

    op = "sgd"

    def __init__(
        self,
        learning_rate: float = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name, **kwargs)
        self.momentum, self.nesterov = fraction("SGD", "momentum", momentum), bool(nesterov)

    @property
    def state(self) -> tuple[tuple[str, float], ...]:
        """``velocity``, if there is momentum."""
        return (("velocity", 0.0),) if self.momentum else ()

    def attributes(self) -> tuple[int | float, ...]:
        """``momentum, nesterov``."""
        return self.momentum, int(self.nesterov)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an optimizer like this one."""
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
