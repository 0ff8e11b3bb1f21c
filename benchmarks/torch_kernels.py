"""PyTorch's kernels: into preallocated tensors by ``out=`` and ATen's own backward functions, as autograd calls them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from fastnn_kernels.instructions import PRODUCTS
from numpy.typing import NDArray

from benchmarks.torch_models import captured, library, optimizer_of, synchronize
from fastnn.bench.kernel_data import LEARNING_RATE, RMSPROP
from fastnn.bench.specs import Data, KernelSpec, TrainSpec
from fastnn.bench.timing import Task

LAUNCHES = 32
"""Calls in one CUDA graph."""

CAPTURABLE = ("sgd", "rmsprop", "adam")
"""Optimizers that run in a CUDA graph."""

Work = tuple[Callable[[], Any], Callable[[], Any]]
"""A call that computes, and one that then gives the result, a tensor."""


def kernel(
    spec: KernelSpec, data: Data, threads: int, *, device: str = "cpu", compiled: bool = False, graphed: bool = False
) -> Task | None:
    """One operation; losses by autograd. ``compiled``: losses alone, by ``torch.compile``; ``graphed``: repeated as a graph."""
    torch = library(threads)
    if compiled and spec.op not in _losses(torch):
        return None
    if spec.op in ("sgd", "adagrad", "rmsprop", "adam"):
        work = None if graphed and spec.op not in CAPTURABLE else _update(torch, spec.op, data, device, graphed)
    else:
        tensors = {name: torch.from_numpy(array).to(device) for name, array in data.items()}
        work = (
            _loss(torch, spec.op, tensors, compiled) if spec.op in _losses(torch) else _kernels(torch, spec, tensors).get(spec.op)
        )
    return None if work is None else _task(torch, device, *work, graphed=graphed and spec.op != "read")


def product(
    spec: KernelSpec, data: Data, threads: int, *, device: str, precision: str = "highest", dtype: str = "float32"
) -> Task | None:
    """A product in less precision: ``precision`` "high" is TF32, ``dtype`` "bfloat16" rounds all three matrices before."""
    if spec.op not in ("matmul", f"matmul_{dtype}") or spec.dtype != "float32":
        return None
    torch = library(threads, precision)
    given = {name: torch.from_numpy(array) for name, array in data.items()}
    numbers = {name: each.view(torch.bfloat16) if each.dtype == torch.uint16 else each for name, each in given.items()}
    tensors = {name: each.to(device, getattr(torch, dtype)) for name, each in numbers.items()}
    compute, result = _kernels(torch, spec, tensors)["matmul"]
    return _task(torch, device, compute, lambda: result().float(), graphed=True)


def _task(torch: Any, device: str, compute: Callable[[], Any], result: Callable[[], Any], *, graphed: bool) -> Task:
    """``graphed``: captured by the first call of `Task.many`, after the one whose result is compared: updates go on from there."""
    launches = LAUNCHES if graphed else 1

    def work() -> None:
        for _ in range(launches):
            compute()

    @cache
    def several() -> Callable[[], Any]:
        return captured(torch, device, work, compute) if graphed else compute

    def run() -> NDArray[Any]:
        compute()
        array: NDArray[Any] = result().cpu().numpy()
        return array

    def many(calls: int) -> None:
        repeat = several()
        for _ in range(calls // launches):
            repeat()
        for _ in range(calls % launches):
            compute()
        synchronize(torch, device)

    return Task(run, many=many)


def _kernels(torch: Any, spec: KernelSpec, t: dict[str, Any]) -> dict[str, Work]:
    """By operation."""
    aten = torch.ops.aten
    turned = {"a": spec.transpose_a, "b": spec.transpose_b}
    a, b = (t[name].T if turned[name] else t[name] for name in ("a", "b")) if spec.op in PRODUCTS else (None, None)
    last = 1, torch.float32
    total: list[Any] = []

    def read() -> None:
        total[:] = [t["x"].sum().cpu()]

    computes: dict[str, tuple[str, Callable[[], Any]]] = {
        "matmul": ("out", lambda: torch.mm(a, b, out=t["out"])),
        "to_bfloat16": ("out", lambda: t["out"].view(torch.bfloat16).copy_(t["x"])),
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
    }
    return {**{op: (compute, partial(t.get, name)) for op, (name, compute) in computes.items()}, "read": (read, lambda: total[0])}


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


def _loss(torch: Any, op: str, t: dict[str, Any], compiled: bool) -> Work:
    name, function = _losses(torch)[op]
    function = torch.compile(function, dynamic=False) if compiled else function
    given = next(iter(t.values())).requires_grad_()
    truth = t[name].long() if name == "labels" else t[name]

    def compute() -> None:
        given.grad = None
        function(given, truth).backward()

    return compute, lambda: given.grad


def _update(torch: Any, op: str, data: Data, device: str, capturable: bool) -> Work:
    """A step of the optimizer on one parameter, fused where torch has that; on the CPU it is done in ``data["params"]``."""
    parameters = torch.nn.Parameter(torch.from_numpy(data["params"]).to(device))
    parameters.grad = torch.from_numpy(data["grads"]).to(device)
    if op == "adagrad":
        fused = {"fused": True} if device == "cpu" else {"foreach": True}
        optimizer = torch.optim.Adagrad([parameters], LEARNING_RATE, eps=RMSPROP["epsilon"], **fused)
    else:
        spec = TrainSpec(1, (1,), "mean_squared_error", op, LEARNING_RATE, 1, 1, 1)
        optimizer = optimizer_of(torch, spec, [parameters], capturable and device == "cuda")
    return optimizer.step, parameters.detach
