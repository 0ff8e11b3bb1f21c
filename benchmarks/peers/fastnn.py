"""fastnn: whole workloads through its public names, kernels through their prepared rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from fastnn_kernels.instructions import INSTRUCTIONS, NO_CLASS, PRECISION_TENSORFLOAT32, REDUCTION_MEAN

from benchmarks.peers import Peer
from fastnn.bench.kernel_data import ADAM, RMSPROP, result_name
from fastnn.bench.specs import CostSpec, Data, KernelSpec
from fastnn.bench.timing import Task
from fastnn.bench.with_fastnn import infer, train

ATTRIBUTES: dict[str, float] = {
    **dict.fromkeys(("activation", "accumulate", "nesterov", "precision"), 0),
    **dict.fromkeys(("label_smoothing", "momentum", "negative_slope", "threshold"), 0.0),
    **ADAM,
    **RMSPROP,
    "max_value": np.inf,
    "ignore_class": NO_CLASS,
    "reduction": REDUCTION_MEAN,
    "factor": 1.0,
    "batch": 32,
    **{"seed": 0, "call": 0, "kept": 2**30, "scale": 2.0},
    **dict.fromkeys(("shared_outer", "middle", "shared_inner", "inner"), 1),
}
"""What instructions are given, but for what `attributes` adds."""


def kernel(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """One instruction, bound to the arrays once; repeated without Python in between. None: there is no such instruction."""
    from fastnn_kernels.cpu.execute import prepare

    if spec.op not in INSTRUCTIONS:
        return None
    prepared = prepare(spec.op, data, attributes(spec), dtype=spec.dtype, workers=workers_for(spec, threads))
    result = None if spec.op in ("shuffle", "dropout") else data[result_name(spec.op)]

    def run() -> Any:
        prepared()
        return result

    return Task(run, many=prepared)


def kernel_on_cuda(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """One instruction on the GPU, repeated as a graph. None: there is no such instruction, or the CPU runs it."""
    from benchmarks.fastnn_cuda import prepare
    from fastnn.engine.cuda import ON_THE_HOST

    return prepare(spec, data, attributes(spec)) if spec.op in INSTRUCTIONS.keys() - ON_THE_HOST else None


def product_in_tensorfloat32(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """A product of float32 on the GPU, as ``config.set_matmul_precision("tensorfloat32")`` has it. None: it is another kernel."""
    from benchmarks.fastnn_cuda import prepare

    if (spec.op, spec.dtype) != ("matmul", "float32"):
        return None
    return prepare(spec, data, attributes(spec) | {"precision": PRECISION_TENSORFLOAT32})


def attributes(spec: KernelSpec) -> dict[str, float]:
    """Every attribute of the instruction."""
    turned = {"transpose_a": int(spec.transpose_a), "transpose_b": int(spec.transpose_b)}
    known = ATTRIBUTES | turned | {"rows": (*spec.shape, 0)[0]}
    if spec.op == "binary_accuracy":
        known["threshold"] = 0.5
    return {name: known[name] for name, _ in INSTRUCTIONS[spec.op].attributes}


def workers_for(spec: KernelSpec, threads: int) -> int:
    """As many as the engine takes for a program of this one instruction."""
    from fastnn_kernels.cpu import cost

    if not INSTRUCTIONS[spec.op].parallel:
        return 1
    item_bytes = np.dtype(spec.dtype).itemsize
    work = cost.matmul_ns(spec.flops // 2, item_bytes) if spec.flops else cost.streaming_ns(spec.bytes)
    return cost.workers_for(work, 1, threads)


def cost(spec: CostSpec, data: Data, threads: int) -> Task | None:
    """A row with nothing to compute, repeated by the interpreter, or called from Python. None: two workers need two threads."""
    from fastnn_kernels.cpu.execute import prepare

    workers = 2 if spec.what in ("meeting", "wake") else 1
    if workers > threads:
        return None
    x, out = (np.empty(0, np.float32) for _ in range(2))
    prepared = prepare("relu", {"x": x, "out": out}, attributes(KernelSpec("relu", (0,))), workers=workers)
    return Task(prepared, many=prepared if spec.what in ("row", "meeting") else None)


def cold_environment(folder: Path) -> dict[str, str]:
    """An empty folder for the compiled kernels."""
    return {"FASTNN_CACHE_DIR": str(folder)}


PEERS = (
    Peer(
        "fastnn",
        "fastnn",
        "import fastnn",
        missing=lambda: None,
        train=train,
        infer=infer,
        kernel=kernel,
        cost=cost,
        environment={"FASTNN_DEVICE": "cpu"},
        cold_environment=cold_environment,
        note="fit(verbose=0); kernels as prepared rows, repeated without Python in between, on as many workers as the engine takes",
    ),
    Peer(
        "fastnn",
        "fastnn",
        "import fastnn",
        missing=lambda: None,
        train=partial(train, uncounted=1),
        infer=infer,
        kernel=kernel_on_cuda,
        environment={"FASTNN_DEVICE": "cuda"},
        device="cuda",
        note="fit(verbose=0) without its first epoch, before which the samples are sent; kernels 32 launches to a CUDA graph",
    ),
    Peer(
        "fastnn tf32",
        "fastnn",
        "import fastnn",
        missing=lambda: None,
        kernel=product_in_tensorfloat32,
        environment={"FASTNN_DEVICE": "cuda"},
        device="cuda",
        note='products with set_matmul_precision("tensorfloat32"); less precise, so never the fastest peer.',
    ),
)
