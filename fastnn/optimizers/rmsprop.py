"""RMSprop."""

from __future__ import annotations

from typing import Any

from fastnn.optimizers.arguments import decay, fraction, not_negative
from fastnn.optimizers.base import Optimizer


class RMSprop(Optimizer):
    """Steps divided by the root of a running mean of squared gradients (Hinton 2012).

    ``v = rho * v + (1 - rho) * g**2; step = learning_rate * g / sqrt(v + epsilon); w -= step``. With momentum
    ``u = momentum * u + step; w -= u``. Centered (Graves 2013): v less the square of a running mean of g.

    Parameters
    ----------
    learning_rate : float
        Step size.
    rho : float
        How much of the running means stays; from 0 to below 1.
    momentum : float
        From 0 to 1.
    epsilon : float
        Keeps the root above 0.
    centered : bool
        Whether the gradient's own mean is taken out.
    name : str, optional
        See `Optimizer`.
    **kwargs
        See `Optimizer`.

    Raises
    ------
    ValueError
        If ``rho`` is not from 0 to below 1, ``momentum`` not from 0 to 1, or ``epsilon`` negative.

    Examples
    --------
    >>> [name for name, _ in RMSprop(momentum=0.9, centered=True).state]
    ['velocity', 'momentums', 'average_gradient']
    """

    op = "rmsprop"

    def __init__(
        self,
        learning_rate: float = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name, **kwargs)
        self.rho, self.momentum = decay("RMSprop", "rho", rho), fraction("RMSprop", "momentum", momentum)
        self.epsilon, self.centered = not_negative("RMSprop", "epsilon", epsilon), bool(centered)

    @property
    def state(self) -> tuple[tuple[str, float], ...]:
        """``velocity``, then ``momentums`` and ``average_gradient`` if they are used."""
        optional = (("momentums", self.momentum > 0), ("average_gradient", self.centered))
        return (("velocity", 0.0), *((name, 0.0) for name, used in optional if used))

    def attributes(self) -> tuple[int | float, ...]:
        """``rho, momentum, epsilon``."""
        return self.rho, self.momentum, self.epsilon

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an optimizer like this one."""
        own = {"rho": self.rho, "momentum": self.momentum, "epsilon": self.epsilon, "centered": self.centered}
        return {**super().get_config(), **own}
