"""PyTorch: eager and compiled, its optimizers fused where it has such (Adam, SGD) and by ``foreach`` elsewhere (RMSprop).

On a GPU also as CUDA graphs: a whole step, batch and update included, is one replay.
"""

from __future__ import annotations

import shutil
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Peer, absent
from benchmarks.torch_kernels import kernel, product
from benchmarks.torch_models import captured, library, load, model_of, optimizer_of, samples_of, synchronize
from fastnn.bench.specs import Data, InferSpec, TrainSpec
from fastnn.bench.timing import Task


def train(spec: TrainSpec, data: Data, threads: int, *, compiled: bool = False, device: str = "cpu") -> Task:
    """The usual loop, the samples on the device; the batches of an epoch are views of one shuffled copy."""
    torch = library(threads)
    model = model_of(torch, spec.sizes, device)
    x, y, orders, criterion = samples_of(torch, spec, data, device)
    state: dict[str, Any] = {}

    def forward(x: Any, y: Any) -> Any:
        return criterion(model(x), y)

    loss_of = torch.compile(forward, dynamic=False) if compiled else forward

    def reset() -> None:
        load(torch, model, data["weights"])
        state["optimizer"] = optimizer_of(torch, spec, model.parameters())
        synchronize(torch, device)

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
        return float(np.dot(torch.stack(losses).cpu().numpy(), rows)) / spec.samples

    reset()
    if compiled:  # both sizes of batch, before the clock
        for rows in {min(spec.batch, spec.samples), spec.samples % spec.batch or spec.batch}:
            loss_of(x[:rows], y[:rows]).backward()
    return Task(run, reset)


def train_graphed(spec: TrainSpec, data: Data, threads: int, *, compiled: bool, device: str) -> Task:
    """A step is a CUDA graph, one for whole batches and one for the short one: it takes its rows by a counter on the device."""
    torch = library(threads)
    model = model_of(torch, spec.sizes, device)
    x, y, orders, criterion = samples_of(torch, spec, data, device)
    order, position = orders[0].clone(), torch.zeros((), dtype=torch.int64, device=device)
    total, offsets = torch.zeros((), device=device), torch.arange(spec.batch, device=device)
    optimizer = optimizer_of(torch, spec, model.parameters(), capturable=device == "cuda")

    def forward(x: Any, y: Any) -> Any:
        return criterion(model(x), y)

    loss_of = torch.compile(forward, dynamic=False) if compiled else forward

    def step(rows: int) -> None:
        chosen = order.index_select(0, position + offsets[:rows])
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x.index_select(0, chosen), y.index_select(0, chosen))
        loss.backward()
        optimizer.step()
        total.add_(loss.detach(), alpha=rows)
        position.add_(rows)

    def begin() -> None:
        position.zero_()
        total.zero_()

    def first(rows: int) -> None:
        begin()
        step(rows)

    def reset() -> None:
        load(torch, model, data["weights"])
        for state in optimizer.state.values():
            for value in filter(torch.is_tensor, state.values()):
                value.zero_()
        synchronize(torch, device)

    def run() -> float:
        for each in orders:
            order.copy_(each)
            begin()
            for call in calls:
                call()
        return float(total) / spec.samples

    whole, rest = divmod(spec.samples, spec.batch)
    sizes = [spec.batch] * whole + [rest] * (rest > 0)
    steps = {rows: captured(torch, device, partial(step, rows), partial(first, rows)) for rows in set(sizes)}
    calls = [steps[rows] for rows in sizes]
    return Task(run, reset)


def infer(
    spec: InferSpec, data: Data, threads: int, *, compiled: bool = False, graphed: bool = False, device: str = "cpu"
) -> Task | None:
    """The model under ``no_grad`` ("call") and under ``inference_mode`` ("prepared"); torch has no "predict"."""
    if spec.route == "predict" or ((compiled or graphed) and spec.route != "prepared"):
        return None
    torch = library(threads)
    model = model_of(torch, spec.model.sizes, device, softmax=spec.model.loss == "softmax_cross_entropy").eval()
    load(torch, model, data["weights"])
    call = torch.compile(model, dynamic=False) if compiled else model
    mode = torch.no_grad if spec.route == "call" else torch.inference_mode
    x = data["x"]

    @mode()
    def run() -> NDArray[np.float32]:
        result: NDArray[np.float32] = call(torch.from_numpy(x).to(device)).cpu().numpy()
        return result

    def forward() -> None:
        out.copy_(call(given))

    @mode()
    def replay() -> NDArray[np.float32]:
        given.copy_(torch.from_numpy(x))
        graph()
        result: NDArray[np.float32] = out.cpu().numpy()
        return result

    run()
    if not graphed:
        return Task(run)
    with mode():
        given = torch.from_numpy(x).to(device)
        out = call(given).clone()
        graph = captured(torch, device, forward, forward)
    return Task(replay)


def _inductor_cache(folder: Path) -> dict[str, str]:
    return {"TORCHINDUCTOR_CACHE_DIR": str(folder)}


def _compile_missing() -> str | None:
    if reason := absent("torch")():
        return reason
    return None if shutil.which("g++") or shutil.which("clang++") else "torch.compile needs a C++ compiler: g++ is not on PATH"


def _cuda_missing() -> str | None:
    if reason := absent("torch")():
        return reason
    version = metadata.version("torch")
    return f"torch {version} is built without CUDA" if version.endswith("+cpu") else None


EPSILON = "RMSprop's epsilon stands outside the root, Adam's beside the corrected root."
PEERS = (
    Peer(
        "torch eager",
        "torch",
        "import torch",
        absent("torch"),
        train=train,
        infer=infer,
        kernel=kernel,
        note=f"Adam and SGD fused=True, RMSprop foreach=True; set_num_threads. {EPSILON}",
    ),
    Peer(
        "torch compile",
        "torch",
        "import torch",
        _compile_missing,
        train=partial(train, compiled=True),
        infer=partial(infer, compiled=True),
        cold_environment=_inductor_cache,
        note="model and loss by torch.compile(dynamic=False), optimizer eager and fused.",
    ),
    *(
        Peer(
            name,
            "torch",
            "import torch",
            _cuda_missing,
            train=partial(train_graphed if graphed else train, compiled=compiled, device="cuda"),
            infer=partial(infer, compiled=compiled, graphed=graphed, device="cuda"),
            kernel=partial(kernel, compiled=compiled, graphed=graphed, device="cuda"),
            device="cuda",
            note=f"{note} float32, TF32 off.",
        )
        for name, compiled, graphed, note in (
            ("torch eager", False, False, f"Products by cuBLAS; Adam and SGD fused=True, others foreach=True. {EPSILON}"),
            ("torch compile", True, False, "Model and loss by torch.compile(dynamic=False), optimizer eager and fused."),
            ("torch graph", False, True, "Eager operations; a whole step is one CUDA graph, kernels 32 calls to a graph."),
            ("torch compile graph", True, True, "The same with model and loss by torch.compile(dynamic=False)."),
        )
    ),
    *(
        Peer(
            name,
            "torch",
            "import torch",
            _cuda_missing,
            kernel=partial(product, device="cuda", precision=precision, dtype=dtype),
            device="cuda",
            note=note,
        )
        for name, precision, dtype, note in (
            ("cublas tf32", "high", "float32", "torch.mm in TF32, as a graph; less precise, so never the fastest peer."),
            ("cublas bf16", "highest", "bfloat16", "torch.mm of bfloat16, as a graph; less precise, so never the fastest peer."),
        )
    ),
)
