"""Updates of a flat run of parameters. Symbols as in the papers; formulas are Keras 3's, ``keras/src/optimizers``."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fastnn_kernels.instructions import ADAM_RATE, ITERATIONS, LEARNING_RATE, STEP
from fastnn_kernels.reference.storage import Array, float64


def next_update(learning_rate: Array, control: NDArray[np.int64], rates: Array, beta_1: float, beta_2: float) -> None:
    """t = control[ITERATIONS] += 1; rates = learning_rate[step] and learning_rate[step] * sqrt(1 - beta_2**t) / (1 - beta_1**t)."""
    control[ITERATIONS] += 1
    t = float(control[ITERATIONS])
    rates[LEARNING_RATE] = learning_rate[control[STEP]]
    rates[ADAM_RATE] = rates[LEARNING_RATE] * math.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t)


def sgd(grads: Array, rates: Array, params: Array, velocity: Array | None, momentum: float, nesterov: int) -> None:
    """velocity = momentum * velocity - lr * g; w += velocity (nesterov: momentum * velocity - lr * g); no velocity: w -= lr * g."""
    step = -rates[LEARNING_RATE] * float64(grads)
    if velocity is not None:
        v = momentum * float64(velocity) + step
        velocity[...] = v
        step = momentum * v + step if nesterov else v
    params[...] = float64(params) + step


def adagrad(grads: Array, rates: Array, params: Array, accumulator: Array, epsilon: float) -> None:
    """accumulator += g**2; w -= lr * g / sqrt(accumulator + epsilon) (Duchi et al. 2011)."""
    g = float64(grads)
    total = float64(accumulator) + g**2
    accumulator[...] = total
    params[...] = float64(params) - rates[LEARNING_RATE] * g / np.sqrt(total + epsilon)


def rmsprop(
    grads: Array,
    rates: Array,
    params: Array,
    velocity: Array,
    momentums: Array | None,
    average_gradient: Array | None,
    rho: float,
    momentum: float,
    epsilon: float,
) -> None:
    """v = rho * v + (1 - rho) * g**2; step = lr * g / sqrt(v [- a**2] + epsilon); u = momentum * u + step; w -= u (Hinton 2012).

    Centered (Graves 2013): a = rho * a + (1 - rho) * g.
    """
    g = float64(grads)
    v = rho * float64(velocity) + (1.0 - rho) * g**2
    velocity[...] = v
    if average_gradient is not None:
        a = rho * float64(average_gradient) + (1.0 - rho) * g
        average_gradient[...] = a
        v = v - a**2
    step = rates[LEARNING_RATE] * g / np.sqrt(v + epsilon)
    if momentums is not None:
        step = momentum * float64(momentums) + step
        momentums[...] = step
    params[...] = float64(params) - step


def adam(
    grads: Array,
    rates: Array,
    params: Array,
    m: Array,
    v: Array,
    v_hat: Array | None,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    """m += (1 - beta_1) * (g - m); v += (1 - beta_2) * (g**2 - v); w -= rates[ADAM_RATE] * m / (sqrt(v) + epsilon).

    Kingma and Ba 2015, the form that ends section 2. AMSGrad (Reddi et al. 2018): v_hat = max(v_hat, v) replaces v in the step.
    """
    g = float64(grads)
    first = float64(m) + (1.0 - beta_1) * (g - float64(m))
    second = float64(v) + (1.0 - beta_2) * (g**2 - float64(v))
    m[...], v[...] = first, second
    if v_hat is not None:
        second = np.maximum(float64(v_hat), second)
        v_hat[...] = second
    params[...] = float64(params) - rates[ADAM_RATE] * first / (np.sqrt(second) + epsilon)
