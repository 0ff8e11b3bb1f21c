"""Two kernels as a Numba user writes them: loops under ``njit(parallel=True)``, and the same loops on one thread."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.peers import Peer, absent
from fastnn.bench.specs import CostSpec, Data, KernelSpec
from fastnn.bench.timing import Task

OPERANDS = {"softmax_cross_entropy": ("logits", "labels", "loss", "dlogits"), "relu": ("x", "out")}


def kernel(spec: KernelSpec, data: Data, threads: int, *, parallel: bool) -> Task | None:
    """The loops over the arrays of ``spec``; the last operand is the result."""
    if spec.op not in OPERANDS:
        return None
    from benchmarks import loops

    function = loops.compiled(getattr(loops, spec.op), parallel=parallel)
    arrays = [data[name] for name in OPERANDS[spec.op]]

    def run() -> Any:
        function(*arrays)
        return arrays[-1]

    return Task(run)


def cost(spec: CostSpec, data: Data, threads: int, *, parallel: bool) -> Task | None:
    """A call from Python of a loop over nothing: a plain function, or one that Numba's threads fork and join for."""
    if spec.what != ("wake" if parallel else "call") or (parallel and threads == 1):
        return None
    import numpy as np

    from benchmarks import loops

    function, empty = loops.compiled(loops.relu, parallel=parallel), np.empty(0, np.float32)
    return Task(lambda: function(empty, empty))


PEERS = tuple(
    Peer(
        name,
        "numba",
        "import numba",
        missing=absent("numba"),
        kernel=partial(kernel, parallel=parallel),
        cost=partial(cost, parallel=parallel),
        note=note,
    )
    for name, parallel, note in (
        ("numba parallel", True, "njit(parallel=True, fastmath=True) in Numba's threading layer"),
        ("numba one thread", False, "the same loops without parallel=True"),
    )
)
