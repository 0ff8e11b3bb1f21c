"""CALLS: one call of every function that returns a new array, so that what they share is tested on all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fastnn_kernels
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Call:
    """``function(*inputs, **keywords)``: ``shapes`` are those of the float inputs, ``out`` that of the result."""

    name: str
    shapes: tuple[tuple[int, ...], ...]
    out: tuple[int, ...]
    keywords: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return "-".join([self.name, *(key for key in self.keywords)])

    def inputs(self, dtype: str = "float64", seed: int = 0) -> list[NDArray]:
        """Values between 0 and 1, which every function takes."""
        rng = np.random.default_rng(seed)
        return [rng.uniform(0.1, 0.9, shape).astype(dtype) for shape in self.shapes]

    def __call__(self, *inputs: Any, **keywords: Any) -> NDArray:
        function: Callable[..., NDArray] = getattr(fastnn_kernels, self.name)
        return function(*inputs, **self.keywords, **keywords)


SHAPE = (3, 50, 40)
MATRICES = ((37, 41), (41, 35))

CALLS = [
    Call("matmul", MATRICES, (37, 35)),
    Call("matmul", MATRICES, (37, 35), {"activation": "relu"}),
    Call("matmul", ((41, 37), (35, 41)), (37, 35), {"transpose_a": True, "transpose_b": True}),
    Call("dense", ((3, 7, 41), (41, 35), (35,)), (3, 7, 35), {"activation": "tanh"}),
    *(Call(name, (SHAPE,), SHAPE) for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")),
    *(Call(f"{name}_backward", (SHAPE, SHAPE), SHAPE) for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")),
    Call("softmax_cross_entropy", (SHAPE, SHAPE), SHAPE[:-1]),
    Call("sigmoid_cross_entropy", (SHAPE, SHAPE), SHAPE[:-1], {"label_smoothing": 0.1}),
    Call("mean_squared_error", (SHAPE, SHAPE), SHAPE[:-1]),
]
