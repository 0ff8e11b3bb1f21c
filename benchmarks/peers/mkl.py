"""Intel's MKL through ctypes: ``cblas_sgemm`` and ``cblas_dgemm`` of ``mkl_rt``, as the ``mkl`` package installs it."""

from __future__ import annotations

import ctypes
import sys
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from benchmarks.peers import Peer
from fastnn.bench.specs import Data, KernelSpec
from fastnn.bench.timing import Task

ROW_MAJOR, NO_TRANSPOSE, TRANSPOSE = 101, 111, 112


def _path() -> Path | None:
    """The library of the installed package; its files lie beside the environment's own libraries."""
    try:
        found = [Path(str(file.locate())) for file in files("mkl") or [] if file.name.startswith(("libmkl_rt.", "mkl_rt."))]
    except PackageNotFoundError:
        return None
    return next((path.resolve() for path in found if path.exists() and path.suffix != ".lib"), None)


def missing() -> str | None:
    """Why MKL cannot run here."""
    return None if _path() else "mkl is not installed"


def _library(threads: int) -> Any:
    library = ctypes.CDLL(str(_path()), mode=ctypes.RTLD_GLOBAL)
    library.MKL_Set_Num_Threads(threads)
    size, array = ctypes.c_int, ctypes.c_void_p
    for multiply, scalar in ((library.cblas_sgemm, ctypes.c_float), (library.cblas_dgemm, ctypes.c_double)):
        multiply.argtypes = [*[size] * 6, scalar, array, size, array, size, scalar, array, size]
        multiply.restype = None
    return library


def kernel(spec: KernelSpec, data: Data, threads: int) -> Task | None:
    """Matrix products; nothing else."""
    if spec.op != "matmul":
        return None
    library = _library(threads)
    multiply = library.cblas_sgemm if spec.dtype == "float32" else library.cblas_dgemm
    m, n, k = spec.shape
    a, b, out = data["a"], data["b"], data["out"]
    turn_a, turn_b = (TRANSPOSE if turned else NO_TRANSPOSE for turned in (spec.transpose_a, spec.transpose_b))
    factors = (1.0, a.ctypes.data, a.shape[1], b.ctypes.data, b.shape[1])
    arguments = (ROW_MAJOR, turn_a, turn_b, m, n, k, *factors, 0.0, out.ctypes.data, n)

    def run(keep: Data = data) -> NDArray[Any]:
        multiply(*arguments)
        result: NDArray[Any] = out
        return result

    run()
    return Task(run)


PEERS = (
    Peer(
        "mkl",
        "mkl",
        "",
        missing,
        kernel=kernel,
        environment={"MKL_THREADING_LAYER": "TBB" if sys.platform == "win32" else "INTEL"},
        note="cblas_sgemm (float64: cblas_dgemm) of mkl_rt through ctypes, MKL_Set_Num_Threads.",
    ),
)
