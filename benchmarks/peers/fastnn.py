"""fastnn: whole workloads through its public names, kernels through their prepared rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import Peer
from fastnn.bench.specs import ADAM, Data, KernelSpec
from fastnn.bench.timing import Task
from fastnn.bench.with_fastnn import infer, train

RELU = {"negative_slope": 0.0, "max_value": np.inf, "threshold": 0.0}
PLAIN = {"relu", "sigmoid", "tanh", "softmax"}


def kernel(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """One instruction, bound to the arrays once; repeated without Python in between."""
    from fastnn_kernels.cpu.execute import prepare

    found = instruction(spec, data)
    if found is None:
        return None
    operands, attributes, result = found
    prepared = prepare(spec.op, operands, attributes, workers=workers_for(spec, threads))

    def run() -> Any:
        prepared()
        return result

    return Task(run, many=prepared)


def workers_for(spec: KernelSpec, threads: int) -> int:
    """As many as the engine takes for a program of this one instruction."""
    from fastnn_kernels.cpu import cost

    work = cost.matmul_ns(spec.flops // 2, 4) if spec.flops else cost.streaming_ns(spec.bytes)
    return cost.workers_for(work, 1, threads)


def instruction(spec: KernelSpec, data: Data) -> tuple[Data, dict[str, Any], Any] | None:
    """Operands, attributes and the result of ``spec``; None where fastnn has no such instruction."""
    op = spec.op
    if op == "matmul":
        transposes = {"transpose_a": int(spec.transpose_a), "transpose_b": int(spec.transpose_b)}
        return data, {**transposes, "activation": 0, "negative_slope": 0.0, "accumulate": 0}, data["out"]
    if op == "softmax_cross_entropy":
        scale = np.full(1, 1 / spec.shape[0], np.float32)
        return {**data, "scale": scale}, {"ignore_class": -(2**31), "accumulate": 0}, data["dlogits"]
    if op == "adam":
        rates = np.array([1e-3, 1e-3 * np.sqrt(1 - ADAM["beta_2"]) / (1 - ADAM["beta_1"]), 0, 0])  # of the first step
        return {**data, "rates": rates}, dict(ADAM), data["params"]
    activation = op.removesuffix("_backward")
    if activation not in PLAIN:
        return None
    settings = RELU if activation == "relu" else {}
    return (data, settings, data["out"]) if op == activation else (data, {**settings, "accumulate": 0}, data["dx"])


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
        cold_environment=cold_environment,
        note="fit(verbose=0); kernels as prepared rows, repeated without Python in between, on as many workers as the engine takes",
    ),
)
