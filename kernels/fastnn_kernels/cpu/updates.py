"""Updates of a flat run of parameters. Symbols as in the papers; formulas are Keras 3's, see ``reference/updates.py``."""

from __future__ import annotations

import math

from fastnn_kernels.cpu.floats import maximum
from fastnn_kernels.cpu.options import kernel
from fastnn_kernels.cpu.partition import ELEMENTS, indices
from fastnn_kernels.instructions import ADAM_RATE, ITERATIONS, LEARNING_RATE, STEP


@kernel
def next_update(learning_rate, control, rates, beta_1, beta_2, worker, workers):
    """In float64: in float32, 1 - beta_2**t would have three digits at the first update."""
    control[ITERATIONS] += 1
    t = float(control[ITERATIONS])
    rate = learning_rate[control[STEP]]
    rates[LEARNING_RATE] = rate
    rates[ADAM_RATE] = rate * math.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t)


@kernel
def sgd(grads, rates, params, velocity, momentum, nesterov, worker, workers):
    dtype = params.dtype.type
    lr, momentum = dtype(rates[LEARNING_RATE]), dtype(momentum)
    if velocity.size == 0:
        for p in indices(params.size, ELEMENTS, worker, workers):
            params[p] -= lr * grads[p]
        return
    for p in indices(params.size, ELEMENTS, worker, workers):
        step = lr * grads[p]
        v = momentum * velocity[p] - step
        velocity[p] = v
        params[p] += momentum * v - step if nesterov else v


@kernel
def adagrad(grads, rates, params, accumulator, epsilon, worker, workers):
    dtype = params.dtype.type
    lr, epsilon = dtype(rates[LEARNING_RATE]), dtype(epsilon)
    for p in indices(params.size, ELEMENTS, worker, workers):
        total = accumulator[p] + grads[p] * grads[p]
        accumulator[p] = total
        params[p] -= lr * grads[p] / math.sqrt(total + epsilon)


@kernel
def rmsprop(grads, rates, params, velocity, momentums, average_gradient, rho, momentum, epsilon, worker, workers):
    dtype = params.dtype.type
    lr, momentum, epsilon = dtype(rates[LEARNING_RATE]), dtype(momentum), dtype(epsilon)
    keep, take = dtype(rho), dtype(1.0 - rho)
    for p in indices(params.size, ELEMENTS, worker, workers):
        v = keep * velocity[p] + take * (grads[p] * grads[p])
        velocity[p] = v
        if average_gradient.size != 0:
            a = keep * average_gradient[p] + take * grads[p]
            average_gradient[p] = a
            v -= a * a
        step = lr * grads[p] / math.sqrt(v + epsilon)
        if momentums.size != 0:
            step = momentum * momentums[p] + step
            momentums[p] = step
        params[p] -= step


@kernel
def adam(grads, rates, params, m, v, v_hat, beta_1, beta_2, epsilon, worker, workers):
    dtype = params.dtype.type
    rate, epsilon = dtype(rates[ADAM_RATE]), dtype(epsilon)
    take_1, take_2 = dtype(1.0 - beta_1), dtype(1.0 - beta_2)
    for p in indices(params.size, ELEMENTS, worker, workers):
        first = m[p] + take_1 * (grads[p] - m[p])
        second = v[p] + take_2 * (grads[p] * grads[p] - v[p])
        m[p] = first
        v[p] = second
        if v_hat.size != 0:
            second = maximum(second, v_hat[p])
            v_hat[p] = second
        params[p] -= rate * first / (math.sqrt(second) + epsilon)
