"""What this machine can do at most: bandwidth of its memory, multiply-adds in its registers. The limits beside the kernels."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import Peer, absent
from fastnn.bench.kernel_data import STREAMS
from fastnn.bench.specs import Data, KernelSpec
from fastnn.bench.timing import Task


def kernel(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """Loops over arrays larger than every cache, or over registers; on ``threads`` threads."""
    if spec.op not in (*STREAMS, "multiply_add"):
        return None
    import numpy as np

    from benchmarks import loops

    function = loops.compiled(getattr(loops, spec.op), parallel=threads > 1)
    if spec.op == "multiply_add":
        return Task(lambda: function(spec.shape[0], np.float32(0.5)))
    if spec.op == "read":
        return Task(lambda: function(data["x"]))

    def run() -> Any:
        function(data["x"], data["out"])
        return data["out"]

    return Task(run)


def kernel_on_cuda(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """Loops over the GPU's memory, or over its registers, queued and waited for at their end."""
    if spec.op not in ("copy", "scale", "multiply_add"):
        return None
    from fastnn_kernels.cuda import device
    from numba import cuda

    from benchmarks import loops_cuda

    arrays = {name: cuda.to_device(array) for name, array in data.items()}
    if spec.op == "multiply_add":
        launch = loops_cuda.multiply_add_launch(spec.shape[0], int(device.properties()["multiprocessors"]))
    else:
        launch = loops_cuda.stream_launch(spec.op, arrays["x"], arrays["out"])

    def run() -> Any:
        launch()
        cuda.synchronize()
        return arrays["out"].copy_to_host() if arrays else None

    def many(calls: int) -> None:
        for _ in range(calls):
            launch()
        cuda.synchronize()

    return Task(run, many=many)


PEERS = (
    Peer("machine", "machine", "", missing=absent("numba"), kernel=kernel, note="loops by Numba: the machine's own limits"),
    Peer(
        "machine",
        "machine",
        "",
        missing=absent("numba"),
        kernel=kernel_on_cuda,
        device="cuda",
        note="loops by Numba: the GPU's bandwidth, and its multiply-adds outside of tensor cores",
    ),
)
