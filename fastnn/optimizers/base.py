"""Optimizer: how gradients change weights. The update itself is an instruction; here are its attributes and its state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from fastnn_kernels.instructions import CONTROL_WORDS, INSTRUCTIONS, ITERATIONS, RATES
from fastnn_kernels.warn import warn
from numpy.typing import ArrayLike, NDArray

from fastnn.errors import refuse_overrides
from fastnn.memory import Buffer
from fastnn.naming import snake_case, unique_name
from fastnn.optimizers.arguments import NOT_YET, check_arguments, checked_rate
from fastnn.variables import Layout, Variable, place_in_arena

Parts = dict[str, NDArray[Any]]
"""One variable's part of each state vector, by the vector's name."""


class Optimizer:
    """Base of all optimizers.

    Parameters
    ----------
    learning_rate : float
        Step size.
    name : str, optional
        By default the class's: ``sgd``, ``rm_sprop``, ...
    **kwargs
        Keras's common arguments (``weight_decay``, ``clipnorm``, ...), which may be given as None.

    Attributes
    ----------
    op : str
        Name of the update instruction.
    state : tuple of (str, float)
        The state vectors that the instruction is given, in the order of its contract, and their first values.
    betas : (float, float)
        Adam's decay rates, for its bias correction; 0 where there is none.
    iterations : int
        Updates made.
    layout : Layout
        Where each weight's part of a state vector lies; after `build`.
    buffer : Buffer
        Holds the state vectors, vector k from byte ``k * layout.bytes``; after `build`.

    Raises
    ------
    ValueError
        For an argument that is unknown or not supported yet.
    TypeError
        For a class of your own that overrides ``update_step``.
    """

    op: str
    betas: tuple[float, float] = (0.0, 0.0)
    layout: Layout
    buffer: Buffer

    def __init__(self, learning_rate: float, name: str | None = None, **kwargs: Any) -> None:
        advice = "Optimizers of your own are not supported yet: use those of fastnn.optimizers"
        refuse_overrides(type(self), ("update_step", "apply", "apply_gradients"), advice, ())
        check_arguments(type(self), kwargs)
        self.learning_rate = learning_rate
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.iterations = 0
        self.built = False
        self._variables: list[Variable] = []
        self._slot_names: tuple[str, ...] = ()
        self._kept: list[tuple[Variable, Parts]] = []

    # -- what an optimizer defines ---------------------------------------------------------------------------------------

    @property
    def state(self) -> tuple[tuple[str, float], ...]:
        """Names and first values of the state vectors."""
        return ()

    def attributes(self) -> tuple[int | float, ...]:
        """The update instruction's attributes, in the order of its contract."""
        raise TypeError(f"optimizer class {type(self).__name__} must define attributes()")

    # -- learning rate ---------------------------------------------------------------------------------------------------

    @property
    def learning_rate(self) -> float:
        """Step size; may be set at any time."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._learning_rate = checked_rate(value)

    # -- state -----------------------------------------------------------------------------------------------------------

    def build(self, variables: Sequence[Variable]) -> None:
        """Make the state for those of ``variables`` that are trainable; what is known of any of them is kept.

        Raises
        ------
        ValueError
            If the variables have different dtypes.
        """
        variables = list(variables)
        dtypes = sorted({variable.dtype for variable in variables})
        if len(dtypes) > 1:
            raise ValueError(f"the variables of an optimizer must have one dtype, got {', '.join(dtypes)}")
        place_in_arena(variables)
        layout = Layout.of(variables)
        if self.built and layout == self.layout and self._slot_names == self._names() and _same(variables, self._variables):
            return
        known = {id(variable): parts for variable, parts in self._parts()}
        self.layout, self._variables, self._slot_names = layout, variables, self._names()
        self.buffer = Buffer(len(self.state) * layout.bytes)
        self.built = True
        for variable, parts in self._parts():
            for name, first in self.state:
                parts[name][...] = known.get(id(variable), {}).get(name, first)
        frozen = (variable for variable in variables if not variable.trainable)
        self._kept = [(variable, _copied(known[id(variable)])) for variable in frozen if id(variable) in known]

    def _names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.state)

    def _parts(self) -> list[tuple[Variable, Parts]]:
        """Each variable with its part of every state vector, as views; and those that are not trained now, as they were."""
        parts = list(self._kept)
        if self.built:
            for variable, offset in zip(self._variables, self.layout.offsets, strict=True):
                if offset is not None:
                    parts.append((variable, {name: self._part(name, variable, offset) for name in self._slot_names}))
        return parts

    def _part(self, name: str, variable: Variable, offset: int) -> NDArray[Any]:
        """The part of state vector ``name`` that belongs to ``variable``, in its shape."""
        start = self._slot_names.index(name) * self.layout.bytes + offset
        return self.buffer.home()[start : start + variable.memory.nbytes].view(variable.dtype).reshape(variable.shape)

    @property
    def variables(self) -> list[Variable]:
        """Iterations, learning rate and the state of each variable, as they are now."""
        own = [
            Variable(self.iterations, "int32", "iteration", False),
            Variable(self.learning_rate, "float32", "learning_rate", False),
        ]
        for variable, parts in self._parts():
            for name, part in parts.items():
                state = Variable(part, variable.dtype, f"{variable.path.replace('/', '_')}_{name}", False)
                state.move(part, self.buffer)
                own.append(state)
        for variable in own:
            variable.path = f"{self.name}/{variable.name}"
        return own

    # -- updates by hand -------------------------------------------------------------------------------------------------

    def apply_gradients(self, grads_and_vars: Iterable[tuple[ArrayLike | None, Variable]]) -> int:
        """Make one update.

        Parameters
        ----------
        grads_and_vars : iterable of (array_like, Variable)
            Each variable with its gradient; those whose gradient is None are left out, with a warning.

        Returns
        -------
        int
            Updates made so far.

        Raises
        ------
        ValueError
            As for `apply`.

        Examples
        --------
        >>> from fastnn.optimizers import SGD
        >>> weight = Variable([1.0, 2.0])
        >>> SGD(0.5).apply_gradients([([2.0, 2.0], weight)])
        1
        >>> weight.numpy()
        array([0., 1.], dtype=float32)
        """
        pairs = list(grads_and_vars)
        self.apply([gradient for gradient, _ in pairs], [variable for _, variable in pairs])
        return self.iterations

    def apply(self, grads: Sequence[ArrayLike | None], trainable_variables: Sequence[Variable] | None = None) -> None:
        """Make one update.

        Parameters
        ----------
        grads : sequence of array_like
            One gradient per variable, of its shape.
        trainable_variables : sequence of Variable, optional
            By default all trainable ones that the optimizer was built for.

        Raises
        ------
        ValueError
            If a gradient has another shape than its variable, there are none, or the optimizer was built for other variables.
        """
        grads = list(grads)
        if trainable_variables is None:
            trainable_variables = [variable for variable in self._variables if variable.trainable]
        pairs = self._checked(grads, list(trainable_variables))
        self.build(self._variables if self.built else list(trainable_variables))
        rates = self._next_rates()
        parts = {id(variable): own for variable, own in self._parts()}
        for gradient, variable in pairs:
            self._update(gradient, variable, parts[id(variable)], rates)

    def _checked(self, grads: list[Any], variables: list[Variable]) -> list[tuple[NDArray[Any], Variable]]:
        """Pairs to update, checked before anything changes."""
        if len(grads) != len(variables):
            raise ValueError(f"got {len(grads)} gradients for {len(variables)} variables: give one gradient per variable")
        known = {id(variable) for variable in self._variables} if self.built else {id(variable) for variable in variables}
        pairs = []
        for gradient, variable in zip(grads, variables, strict=True):
            if not isinstance(variable, Variable):
                raise TypeError(f"a gradient comes with a variable, such as those of model.trainable_variables; got {variable!r}")
            if id(variable) not in known:
                raise ValueError(
                    f"Unknown variable: {variable.path}. {self.name} was built for other variables; make a new optimizer for "
                    "a new set of variables, or call build with all of them"
                )
            if gradient is None:
                continue
            if not variable.trainable:
                raise ValueError(f"variable {variable.path!r} is not trainable: set trainable=True, or leave it out")
            array = np.asarray(gradient, np.float64)
            if array.shape != variable.shape:
                raise ValueError(f"the gradient of variable {variable.path!r} has shape {array.shape}, expected {variable.shape}")
            pairs.append((array, variable))
        if not pairs:
            raise ValueError("No gradients provided for any variable.")
        if len(pairs) < len(variables):
            missing = [variable.path for gradient, variable in zip(grads, variables, strict=True) if gradient is None]
            warn(f"no gradients for the variables {missing}: they stay as they are")
        return pairs

    def _next_rates(self) -> NDArray[np.float64]:
        """Count the update; this update's learning rates."""
        from fastnn_kernels.reference.kernels import KERNELS

        control, rates = np.zeros(CONTROL_WORDS, np.int64), np.zeros(RATES)
        control[ITERATIONS] = self.iterations
        KERNELS["next_update"](np.array([self.learning_rate]), control, rates, *self.betas)
        self.iterations = int(control[ITERATIONS])
        return rates

    def _update(self, gradient: NDArray[Any], variable: Variable, parts: Parts, rates: NDArray[np.float64]) -> None:
        """The update instruction on one variable and its state."""
        from fastnn_kernels.reference.kernels import KERNELS

        given = {"grads": gradient, "rates": rates, "params": variable.array, **parts}
        operands = (given.get(spec.name) for spec in INSTRUCTIONS[self.op].operands)
        KERNELS[self.op](*operands, *self.attributes())

    # -- configuration and pickling --------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an optimizer like this one."""
        return {"name": self.name, "learning_rate": self.learning_rate, **NOT_YET}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """An optimizer made from what `get_config` returned; its state is new."""
        return cls(**config)

    def __getstate__(self) -> dict[str, Any]:
        """The state by variable, because buffers must be aligned anew."""
        state = {key: value for key, value in self.__dict__.items() if key not in ("buffer", "layout")}
        return {**state, "_kept": [(variable, _copied(parts)) for variable, parts in self._parts()]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self.built:
            self.built = False
            self.build(self._variables)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, learning_rate={self.learning_rate:g}, iterations={self.iterations}>"


def _same(left: Sequence[Variable], right: Sequence[Variable]) -> bool:
    return len(left) == len(right) and all(one is other for one, other in zip(left, right, strict=True))


def _copied(parts: Parts) -> Parts:
    return {name: part.copy() for name, part in parts.items()}
