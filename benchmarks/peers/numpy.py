"""NumPy by hand, products by the BLAS it comes with (OpenBLAS on Linux)."""

from __future__ import annotations

from benchmarks import numpy_kernels
from benchmarks.peers import Peer
from fastnn.bench.specs import Data, KernelSpec
from fastnn.bench.timing import Task
from fastnn.bench.with_numpy import infer, train


def kernel(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """See `numpy_kernels`; only the BLAS uses more than one thread."""
    if spec.op == "matmul":
        return Task(numpy_kernels.matmul(data, spec.transpose_a, spec.transpose_b))
    make = numpy_kernels.KERNELS.get(spec.op)
    return None if make is None else Task(make(data))


PEERS = (
    Peer(
        "numpy",
        "numpy",
        "import numpy",
        missing=lambda: None,
        train=train,
        infer=infer,
        kernel=kernel,
        note="by hand: arrays in place, no framework",
    ),
)
