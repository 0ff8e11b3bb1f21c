"""PyTorch: eager and compiled, its optimizers fused where it has such (Adam, SGD) and by ``foreach`` elsewhere (RMSprop)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Peer, absent
from fastnn.bench.kernel_data import ADAM, LEARNING_RATE, RMSPROP
from fastnn.bench.specs import Data, InferSpec, KernelSpec, TrainSpec
from fastnn.bench.timing import Task


def _torch(threads: int) -> Any:
    import torch

    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")
    return torch


def _model(torch: Any, sizes: tuple[int, ...], softmax: bool = False) -> Any:
    layers = []
    for before, after in pairwise(sizes):
        layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
    layers[-1:] = [torch.nn.Softmax(dim=1)] if softmax else []
    return torch.nn.Sequential(*layers)


def _load(torch: Any, model: Any, weights: list[NDArray[np.float32]]) -> None:
    with torch.no_grad():
        for parameter, weight in zip(model.parameters(), weights, strict=True):
            parameter.copy_(torch.from_numpy(weight.T))


def _optimizer(torch: Any, spec: TrainSpec, parameters: Any) -> Any:
    """Keras's defaults; where epsilon stands differs, see `EPSILON`."""
    rate = spec.learning_rate
    if spec.optimizer == "adam":
        return torch.optim.Adam(parameters, rate, (ADAM["beta_1"], ADAM["beta_2"]), ADAM["epsilon"], fused=True)
    if spec.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, alpha=RMSPROP["rho"], eps=RMSPROP["epsilon"], foreach=True)
    return torch.optim.SGD(parameters, rate, fused=True)


def _train(compiled: bool) -> Callable[[TrainSpec, Data, int], Task]:
    def train(spec: TrainSpec, data: Data, threads: int) -> Task:
        torch = _torch(threads)
        model = _model(torch, spec.sizes)
        softmax = spec.loss == "softmax_cross_entropy"
        criterion = torch.nn.functional.cross_entropy if softmax else torch.nn.functional.mse_loss
        x, y = torch.from_numpy(data["x"]), torch.from_numpy(data["y"])
        y = y.long() if softmax else y
        orders = torch.from_numpy(data["orders"])
        state: dict[str, Any] = {}

        def forward(x: Any, y: Any) -> Any:
            return criterion(model(x), y)

        loss_of = torch.compile(forward, dynamic=False) if compiled else forward

        def reset() -> None:
            _load(torch, model, data["weights"])
            state["optimizer"] = _optimizer(torch, spec, model.parameters())

        def run() -> float:
            optimizer = state["optimizer"]
            losses: list[Any] = []
            for order in orders:
                losses = []
                for batch_x, batch_y in zip(x[order].split(spec.batch), y[order].split(spec.batch), strict=True):
                    optimizer.zero_grad(set_to_none=True)
                    loss = loss_of(batch_x, batch_y)
                    loss.backward()
                    optimizer.step()
                    losses.append(loss.detach())
            rows = [min(spec.batch, spec.samples - start) for start in range(0, spec.samples, spec.batch)]
            return float(np.dot(torch.stack(losses).numpy(), rows)) / spec.samples

        reset()
        if compiled:  # both sizes of batch, before the clock
            for rows in {min(spec.batch, spec.samples), spec.samples % spec.batch or spec.batch}:
                loss_of(x[:rows], y[:rows]).backward()
        return Task(run, reset)

    return train


def _infer(compiled: bool) -> Callable[[InferSpec, Data, int], Task | None]:
    def infer(spec: InferSpec, data: Data, threads: int) -> Task | None:
        """The model under ``no_grad`` ("call") and under ``inference_mode`` ("prepared"); torch has no "predict"."""
        if spec.route == "predict" or (compiled and spec.route != "prepared"):
            return None
        torch = _torch(threads)
        model = _model(torch, spec.model.sizes, softmax=spec.model.loss == "softmax_cross_entropy").eval()
        _load(torch, model, data["weights"])
        call = torch.compile(model, dynamic=False) if compiled else model
        mode = torch.no_grad if spec.route == "call" else torch.inference_mode
        x = data["x"]

        @mode()
        def run() -> NDArray[np.float32]:
            result: NDArray[np.float32] = call(torch.from_numpy(x)).numpy()
            return result

        run()
        return Task(run)

    return infer


def kernel(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """Into preallocated tensors by ``out=`` and ATen's own backward functions, as autograd calls them; losses by autograd."""
    torch = _torch(threads)
    if spec.op in ("sgd", "adagrad", "rmsprop", "adam"):
        return _update(torch, spec.op, data)
    tensors = {name: torch.from_numpy(array) for name, array in data.items()}
    if spec.op in _losses(torch):
        return _loss(torch, spec.op, tensors)
    found = _kernels(torch, spec, tensors).get(spec.op)
    if found is None:
        return None
    name, compute = found

    def run() -> NDArray[Any]:
        compute()
        array: NDArray[Any] = tensors[name].numpy()
        return array

    return Task(compute if name == "" else run)


def _kernels(torch: Any, spec: KernelSpec, t: dict[str, Any]) -> dict[str, tuple[str, Callable[[], Any]]]:
    """By operation the array that is the result, and the call."""
    aten = torch.ops.aten
    turned = {"a": spec.transpose_a, "b": spec.transpose_b}
    a, b = (t[name].T if turned[name] else t[name] for name in ("a", "b")) if spec.op == "matmul" else (None, None)
    last = 1, torch.float32
    return {
        "matmul": ("out", lambda: torch.mm(a, b, out=t["out"])),
        "take_rows": ("out", lambda: torch.index_select(t["data"], 0, t["index"], out=t["out"])),
        "sum_rows": ("out", lambda: torch.sum(t["x"], 0, out=t["out"])),
        "relu": ("out", lambda: torch.clamp_min(t["x"], 0, out=t["out"])),
        "sigmoid": ("out", lambda: torch.sigmoid(t["x"], out=t["out"])),
        "tanh": ("out", lambda: torch.tanh(t["x"], out=t["out"])),
        "softmax": ("out", lambda: torch.softmax(t["x"], 1, out=t["out"])),
        "log_softmax": ("out", lambda: torch.log_softmax(t["x"], 1, out=t["out"])),
        "relu_backward": ("dx", lambda: aten.threshold_backward(t["dout"], t["x"], 0, grad_input=t["dx"])),
        "sigmoid_backward": ("dx", lambda: aten.sigmoid_backward(t["dout"], t["out"], grad_input=t["dx"])),
        "tanh_backward": ("dx", lambda: aten.tanh_backward(t["dout"], t["out"], grad_input=t["dx"])),
        "softmax_backward": ("dx", lambda: aten._softmax_backward_data(t["dout"], t["out"], *last, grad_input=t["dx"])),
        "log_softmax_backward": ("dx", lambda: aten._log_softmax_backward_data(t["dout"], t["out"], *last, out=t["dx"])),
        "copy": ("out", lambda: t["out"].copy_(t["x"])),
        "scale": ("out", lambda: torch.mul(t["x"], 2, out=t["out"])),
        "update": ("out", lambda: torch.add(t["x"], t["out"], alpha=0.5, out=t["out"])),
        "read": ("", lambda: t["x"].sum().item()),
    }


def _losses(torch: Any) -> dict[str, tuple[str, Callable[[Any, Any], Any]]]:
    """By operation the truth's name, and the mean loss."""
    functions = torch.nn.functional
    return {
        "softmax_cross_entropy": ("labels", functions.cross_entropy),
        "softmax_cross_entropy_dense": ("target", functions.cross_entropy),
        "sigmoid_cross_entropy": ("target", functions.binary_cross_entropy_with_logits),
        "binary_cross_entropy": ("target", functions.binary_cross_entropy),
        "mean_squared_error": ("target", functions.mse_loss),
        "mean_absolute_error": ("target", functions.l1_loss),
    }


def _loss(torch: Any, op: str, t: dict[str, Any]) -> Task:
    name, function = _losses(torch)[op]
    given = next(iter(t.values())).requires_grad_()
    truth = t[name].long() if name == "labels" else t[name]

    def run() -> NDArray[np.float32]:
        given.grad = None
        function(given, truth).backward()
        gradient: NDArray[np.float32] = given.grad.numpy()
        return gradient

    return Task(run)


def _update(torch: Any, op: str, data: Data) -> Task:
    """A step of the optimizer on one parameter, fused where torch has that."""
    parameters = torch.nn.Parameter(torch.from_numpy(data["params"]))
    parameters.grad = torch.from_numpy(data["grads"])
    if op == "adagrad":
        optimizer = torch.optim.Adagrad([parameters], LEARNING_RATE, eps=RMSPROP["epsilon"], fused=True)
    else:
        optimizer = _optimizer(torch, TrainSpec(1, (1,), "mean_squared_error", op, LEARNING_RATE, 1, 1, 1), [parameters])

    def run() -> NDArray[np.float32]:
        optimizer.step()
        return data["params"]

    return Task(run)


def _inductor_cache(folder: Path) -> dict[str, str]:
    return {"TORCHINDUCTOR_CACHE_DIR": str(folder)}


def _compile_missing() -> str | None:
    if reason := absent("torch")():
        return reason
    return None if shutil.which("g++") or shutil.which("clang++") else "torch.compile needs a C++ compiler: g++ is not on PATH"


EPSILON = "RMSprop's epsilon stands outside the root, Adam's beside the corrected root."
PEERS = (
    Peer(
        "torch eager",
        "torch",
        "import torch",
        absent("torch"),
        train=_train(compiled=False),
        infer=_infer(compiled=False),
        kernel=kernel,
        note=f"Adam and SGD fused=True, RMSprop foreach=True; set_num_threads. {EPSILON}",
    ),
    Peer(
        "torch compile",
        "torch",
        "import torch",
        _compile_missing,
        train=_train(compiled=True),
        infer=_infer(compiled=True),
        cold_environment=_inductor_cache,
        note="model and loss by torch.compile(dynamic=False), optimizer eager and fused.",
    ),
)
