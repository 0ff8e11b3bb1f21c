"""What the ways of using PyTorch share: models, optimizers, a device, CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastnn.bench.kernel_data import ADAM, RMSPROP
from fastnn.bench.specs import TrainSpec

WARM_UPS = 3
"""Runs before a capture, as PyTorch's documentation of CUDA graphs has it."""


def library(threads: int, precision: str = "highest") -> Any:
    """torch; ``precision`` "highest" is float32, "high" lets products of float32 run in TF32."""
    import torch

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    return torch


def model_of(torch: Any, sizes: tuple[int, ...], device: str, softmax: bool = False) -> Any:
    """Dense layers with relu between them."""
    layers = []
    for before, after in pairwise(sizes):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    layers[-1:] = [torch.nn.Softmax(dim=1)] if softmax else []
    return torch.nn.Sequential(*layers).to(device)


def load(torch: Any, model: Any, weights: list[NDArray[np.float32]]) -> None:
    """Give the model these weights, in place."""
    with torch.no_grad():
        for parameter, weight in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(weight.T))


def optimizer_of(torch: Any, spec: TrainSpec, parameters: Any, capturable: bool = False) -> Any:
    """Keras's defaults; where epsilon stands differs. ``capturable``: its counters live on the GPU; SGD has none."""
    rate = spec.learning_rate
    if spec.optimizer == "adam":
        betas, epsilon = (ADAM["beta_1"], ADAM["beta_2"]), ADAM["epsilon"]
        return torch.optim.Adam(parameters, rate, betas, epsilon, fused=True, capturable=capturable)
    if spec.optimizer == "rmsprop":
        rho, epsilon = RMSPROP["rho"], RMSPROP["epsilon"]
        return torch.optim.RMSprop(parameters, rate, alpha=rho, eps=epsilon, foreach=True, capturable=capturable)
    return torch.optim.SGD(parameters, rate, fused=True)


def samples_of(torch: Any, spec: TrainSpec, data: Any, device: str) -> tuple[Any, Any, Any, Callable[[Any, Any], Any]]:
    """x, y and the orders on the device, and the mean loss of outputs and truth."""
    softmax = spec.loss == "softmax_cross_entropy"
    x, y, orders = (torch.from_numpy(data[name]).to(device) for name in ("x", "y", "orders"))
    functions = torch.nn.functional
    return x, y.long() if softmax else y, orders, functions.cross_entropy if softmax else functions.mse_loss


def synchronize(torch: Any, device: str) -> None:
    """Wait for the device; the CPU's calls have waited already."""
    if device == "cuda":
        torch.cuda.synchronize()


def captured(torch: Any, device: str, work: Callable[[], Any], warm_up: Callable[[], Any]) -> Callable[[], Any]:
    """``work`` as a CUDA graph, after some calls of ``warm_up``; on the CPU ``work`` itself, after as many."""
    side = torch.cuda.Stream() if device == "cuda" else None
    if side is not None:
        side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):  # of None: nothing
        for _ in range(WARM_UPS):
            warm_up()
    if side is None:
        return work
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    replay: Callable[[], Any] = graph.replay
    return replay
