"""What this machine can do at most: bandwidth of its memory, multiply-adds in its registers. The limits beside the kernels."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import Peer, absent
from fastnn.bench.specs import Data, KernelSpec
from fastnn.bench.timing import Task

STREAMS = ("copy", "scale", "update")


def kernel(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """Loops over arrays larger than every cache, or over registers; on ``threads`` threads."""
    if spec.op not in (*STREAMS, "read", "multiply_add"):
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


PEERS = (Peer("machine", "machine", "", missing=absent("numba"), kernel=kernel, note="loops by Numba: the machine's own limits"),)
