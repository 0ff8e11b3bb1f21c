"""Optimizer updates, in place on parameters of any shape. Symbols as in the papers, formulas and defaults as in Keras 3."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastnn_kernels.cpu import cost
from fastnn_kernels.cuda.foreign import on_device
from fastnn_kernels.functions import places
from fastnn_kernels.functions.arrays import check_apart, check_shape, check_written, contiguous, deliver, floats, run
from fastnn_kernels.instructions import ADAM_RATE, INSTRUCTIONS, LEARNING_RATE, RATES
from fastnn_kernels.operands import INT64, integer, number


def sgd(
    params: NDArray,
    grads: ArrayLike,
    velocity: NDArray | None = None,
    *,
    learning_rate: float = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    workers: int | None = None,
) -> None:
    """Gradient descent, with momentum where a velocity is given.

    Without velocity ``w -= lr * g``. With it ``velocity = momentum * velocity - lr * g`` and then ``w += velocity``, or with
    ``nesterov`` (Sutskever et al. 2013) ``w += momentum * velocity - lr * g``.

    Parameters
    ----------
    params : ndarray
        The parameters w: float32 or float64, of any shape; changed in place.
    grads : array_like of params' shape and dtype
        The gradient g.
    velocity : ndarray of params' shape and dtype, optional
        State, changed in place; zeros before the first update.
    learning_rate : float
        lr.
    momentum : float
        From 0 to 1; other than 0 it needs a velocity.
    nesterov : bool
        Nesterov's form of momentum.
    workers : int, optional
        Threads to use; None chooses by the amount of work. The result is the same bits for any number.

    Raises
    ------
    TypeError
        If params is not an array of float32 or float64, another array's dtype is not params', or a number is none.
    ValueError
        If a shape is not params', an array that is written is read-only or shares memory with another, a number lies outside
        its range, is NaN or infinite, momentum comes without velocity, or ``workers`` is not from 1 to 1024.

    Notes
    -----
    Arrays that are not contiguous are copied, updated and copied back. Subnormal state is flushed to 0.

    Examples
    --------
    >>> import numpy as np
    >>> w = np.array([[1.0, 2.0]])
    >>> sgd(w, [[0.5, -0.5]], learning_rate=0.1)
    >>> w
    array([[0.95, 2.05]])
    """
    momentum = _fraction("momentum", momentum, closed=True)
    if velocity is None and (momentum != 0.0 or nesterov):
        raise ValueError(f"momentum={momentum!r}, nesterov={nesterov!r} needs a velocity; np.zeros_like(params) to begin with")
    attributes = (momentum, bool(nesterov))
    _update("sgd", params, grads, {"velocity": velocity}, (learning_rate, 0.0), attributes, workers)


def adagrad(
    params: NDArray,
    grads: ArrayLike,
    accumulator: NDArray,
    *,
    learning_rate: float = 0.001,
    epsilon: float = 1e-7,
    workers: int | None = None,
) -> None:
    """Adagrad (Duchi et al. 2011): ``accumulator += g**2``, ``w -= lr * g / sqrt(accumulator + epsilon)``.

    Parameters
    ----------
    params, grads, learning_rate, workers
        As in `sgd`.
    accumulator : ndarray of params' shape and dtype
        State, changed in place; Keras begins with 0.1 everywhere.
    epsilon : float
        Keeps the root away from 0.

    Raises
    ------
    TypeError, ValueError
        As `sgd`.

    Examples
    --------
    >>> import numpy as np
    >>> w, accumulator = np.ones(1), np.full(1, 12.0)
    >>> adagrad(w, [2.0], accumulator, learning_rate=0.1, epsilon=0.0)
    >>> w, accumulator
    (array([0.95]), array([16.]))
    """
    _update(
        "adagrad", params, grads, {"accumulator": accumulator}, (learning_rate, 0.0), (_at_least_0("epsilon", epsilon),), workers
    )


def rmsprop(
    params: NDArray,
    grads: ArrayLike,
    velocity: NDArray,
    momentums: NDArray | None = None,
    average_gradient: NDArray | None = None,
    *,
    learning_rate: float = 0.001,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    workers: int | None = None,
) -> None:
    """RMSprop (Hinton 2012), centered where an average gradient is given (Graves 2013).

    ``v = rho * v + (1 - rho) * g**2`` and ``step = lr * g / sqrt(v + epsilon)``; centered, ``a = rho * a + (1 - rho) * g`` and
    ``v - a**2`` under the root. Then ``w -= step``, or with momentums ``u = momentum * u + step`` and ``w -= u``.

    Parameters
    ----------
    params, grads, learning_rate, workers
        As in `sgd`.
    velocity, momentums, average_gradient : ndarray of params' shape and dtype
        State v, u and a, changed in place; zeros before the first update. The last two may be absent.
    rho : float
        From 0 to 1.
    momentum : float
        From 0 to 1; other than 0 it needs momentums.
    epsilon : float
        Keeps the root away from 0.

    Raises
    ------
    TypeError, ValueError
        As `sgd`.

    Examples
    --------
    >>> import numpy as np
    >>> w, velocity = np.ones(1), np.full(1, 4.0)
    >>> rmsprop(w, [2.0], velocity, learning_rate=0.1, rho=0.5, epsilon=0.0)
    >>> w, velocity
    (array([0.9]), array([4.]))
    """
    rho, momentum = _fraction("rho", rho, closed=True), _fraction("momentum", momentum, closed=True)
    if momentums is None and momentum != 0.0:
        raise ValueError(f"momentum={momentum!r} needs momentums; np.zeros_like(params) to begin with")
    state = {"velocity": velocity, "momentums": momentums, "average_gradient": average_gradient}
    attributes = (rho, momentum, _at_least_0("epsilon", epsilon))
    _update("rmsprop", params, grads, state, (learning_rate, 0.0), attributes, workers)


def adam(
    params: NDArray,
    grads: ArrayLike,
    m: NDArray,
    v: NDArray,
    v_hat: NDArray | None = None,
    *,
    step: int,
    learning_rate: float = 0.001,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    workers: int | None = None,
) -> None:
    """Adam (Kingma and Ba 2015), AMSGrad where v_hat is given (Reddi et al. 2018).

    ``m += (1 - beta_1) * (g - m)``, ``v += (1 - beta_2) * (g**2 - v)`` and, at update t,
    ``w -= lr * sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (sqrt(v) + epsilon)``; AMSGrad has ``v_hat = max(v_hat, v)`` under
    the root.

    Parameters
    ----------
    params, grads, learning_rate, workers
        As in `sgd`.
    m, v, v_hat : ndarray of params' shape and dtype
        State, changed in place; zeros before the first update. The last may be absent.
    step : int
        The update's number t: 1 for the first.
    beta_1, beta_2 : float
        From 0 to below 1.
    epsilon : float
        Keeps the divisor away from 0.

    Raises
    ------
    TypeError, ValueError
        As `sgd`; also if ``step`` is no integer or less than 1.

    Examples
    --------
    >>> import numpy as np
    >>> w, m, v = np.ones(2), np.zeros(2), np.zeros(2)
    >>> for step in (1, 2, 3):
    ...     adam(w, [0.5, -2.0], m, v, step=step, learning_rate=0.1)
    >>> w.round(3)
    array([0.7, 1.3])
    """
    beta_1, beta_2 = _fraction("beta_1", beta_1), _fraction("beta_2", beta_2)
    step, learning_rate = integer("step", step, 1, INT64[1]), number("learning_rate", learning_rate)
    rate = learning_rate * math.sqrt(1.0 - beta_2**step) / (1.0 - beta_1**step)
    attributes = (beta_1, beta_2, _at_least_0("epsilon", epsilon))
    _update("adam", params, grads, {"m": m, "v": v, "v_hat": v_hat}, (learning_rate, rate), attributes, workers)


def _update(
    op: str,
    params: Any,
    grads: ArrayLike,
    state: dict[str, Any],
    rates: tuple[float, float],
    attributes: tuple[float, ...],
    workers: int | None,
) -> None:
    """Run an update on ``params`` and ``state``, arrays by argument name of which some may be absent."""
    if not isinstance(params, np.ndarray) and not on_device(params):
        raise TypeError(f"params is changed in place and must be a NumPy array, got {type(params).__name__}")
    weights = floats("params", params)
    gradient = floats("grads", grads, weights, "params")
    check_shape("grads", gradient, weights.shape, "that of params")
    written: dict[str, Any] = {"params": params, **state}
    present = {name: array for name, array in written.items() if array is not None or name not in _optional(op)}
    found = {name: check_written(name, array, weights.shape, weights.dtype, weights, "params") for name, array in present.items()}
    check_apart({"grads": gradient}, found)
    ready = {name: contiguous(array) for name, array in found.items()}
    words = np.zeros(RATES)
    words[LEARNING_RATE], words[ADAM_RATE] = number("learning_rate", rates[0]), rates[1]
    operands = (contiguous(gradient), places.beside(words, weights), *(ready.get(name) for name in written))
    run(op, weights.dtype, operands, (weights.size,), attributes, workers, cost.streaming_ns((len(present) + 1) * weights.nbytes))
    for name, array in found.items():
        deliver(ready[name], array)


@cache
def _optional(op: str) -> set[str]:
    """Names of the operands that an instruction can do without."""
    return {spec.name for spec in INSTRUCTIONS[op].operands if spec.optional}


def _fraction(name: str, value: float, *, closed: bool = False) -> float:
    """A number in [0, 1), or in [0, 1] when ``closed``."""
    fraction = number(name, value)
    if not (0.0 <= fraction < 1.0 or (closed and fraction == 1.0)):
        raise ValueError(f"{name} must lie from 0 to {'1' if closed else 'below 1'}, got {value!r}")
    return fraction


def _at_least_0(name: str, value: float) -> float:
    """A number of at least 0."""
    result = number(name, value)
    if result < 0.0:
        raise ValueError(f"{name} must be at least 0, got {value!r}")
    return result
