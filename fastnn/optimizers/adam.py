"""Adam."""

from __future__ import annotations

from typing import Any

from fastnn.optimizers.arguments import decay, not_negative
from fastnn.optimizers.base import Optimizer


class Adam(Optimizer):
    """Steps from running means of the gradient and of its square (Kingma and Ba 2015).

    ``m += (1 - beta_1) * (g - m); v += (1 - beta_2) * (g**2 - v)``, then
    ``w -= learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)`` in update t.

    Parameters
    ----------
    learning_rate : float
        Step size.
    beta_1, beta_2 : float
        How much of the running means stays; from 0 to below 1.
    epsilon : float
        Added to the root.
    amsgrad : bool
        Whether the largest v so far takes the place of v (Reddi et al. 2018).
    name : str, optional
        See `Optimizer`.
    **kwargs
        See `Optimizer`.

    Raises
    ------
    ValueError
        If ``beta_1`` or ``beta_2`` is not from 0 to below 1, or ``epsilon`` is negative.

    Examples
    --------
    >>> [name for name, _ in Adam(amsgrad=True).state]
    ['m', 'v', 'v_hat']
    """

    op = "adam"

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name, **kwargs)
        self.beta_1, self.beta_2 = decay("Adam", "beta_1", beta_1), decay("Adam", "beta_2", beta_2)
        self.epsilon, self.amsgrad = not_negative("Adam", "epsilon", epsilon), bool(amsgrad)

    @property
    def betas(self) -> tuple[float, float]:  # type: ignore[override]
        """``beta_1`` and ``beta_2``."""
        return self.beta_1, self.beta_2

    @property
    def state(self) -> tuple[tuple[str, float], ...]:
        """``m`` and ``v``, and ``v_hat`` for AMSGrad."""
        return (("m", 0.0), ("v", 0.0), *((("v_hat", 0.0),) if self.amsgrad else ()))

    def attributes(self) -> tuple[int | float, ...]:
        """``beta_1, beta_2, epsilon``."""
        return self.beta_1, self.beta_2, self.epsilon

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an optimizer like this one."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon, "amsgrad": self.amsgrad}
        return {**super().get_config(), **own}
