"""Models with dropout, and the samples on which they train."""

from __future__ import annotations

import numpy as np

from fastnn import Input, Sequential
from fastnn.layers import Dense, Dropout

X = np.random.default_rng(0).normal(size=(24, 6)).astype(np.float32)
Y = (X[:, :1] - X[:, 1:2]) / 2


def network(device="cpu", rate=0.5, seed=None, optimizer="sgd", units=8):
    model = Sequential([Input((6,)), Dense(units, activation="tanh"), Dropout(rate, seed=seed), Dense(1)])
    model.compile(optimizer, "mse", device=device)
    return model


def ones(rate=0.5, size=100, seed=None, **compile_arguments):
    """A model whose output is what dropout makes of its input."""
    model = Sequential([Input((size,)), Dropout(rate, seed=seed)])
    model.compile("sgd", "mse", **compile_arguments)
    return model


def drawn(layer_or_model, shape=(4, 100)):
    return np.array(layer_or_model(np.ones(shape, np.float32), training=True))


def losses(model, epochs=3, **arguments):
    return model.fit(X, Y, batch_size=5, epochs=epochs, verbose=0, **arguments).history["loss"]
