"""Adagrad."""

from __future__ import annotations

from typing import Any

from fastnn.optimizers.arguments import not_negative
from fastnn.optimizers.base import Optimizer


class Adagrad(Optimizer):
    """A step size for each parameter, smaller the more it has moved (Duchi et al. 2011).

    ``accumulator += g**2; w -= learning_rate * g / sqrt(accumulator + epsilon)``.

    Parameters
    ----------
    learning_rate : float
        Step size.
    initial_accumulator_value : float
        First value of ``accumulator``; not negative.
    epsilon : float
        Keeps the root above 0.
    name : str, optional
        See `Optimizer`.
    **kwargs
        See `Optimizer`.

    Raises
    ------
    ValueError
        If ``initial_accumulator_value`` or ``epsilon`` is negative.
    """

    op = "adagrad"

    def __init__(
        self,
        learning_rate: float = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        *,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, name, **kwargs)
        self.initial_accumulator_value = not_negative("Adagrad", "initial_accumulator_value", initial_accumulator_value)
        self.epsilon = not_negative("Adagrad", "epsilon", epsilon)

    @property
    def state(self) -> tuple[tuple[str, float], ...]:
        """``accumulator``."""
        return (("accumulator", self.initial_accumulator_value),)

    def attributes(self) -> tuple[int | float, ...]:
        """``epsilon``."""
        return (self.epsilon,)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an optimizer like this one."""
        own = {"initial_accumulator_value": self.initial_accumulator_value, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
