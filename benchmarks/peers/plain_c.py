"""Plain C for one core, the limit: loops of constant sizes and no engine, compiled for each model by the machine's own compiler."""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Peer
from fastnn.bench.specs import Data, InferSpec, TrainSpec
from fastnn.bench.timing import Task

SOURCES = Path(__file__).parent.parent / "limits"
CACHE = Path(__file__).parent.parent / ".cache"
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-shared", "-fPIC")
"""Without ``-fno-math-errno`` no compiler turns a square root into the processor's own."""

WIDEST = 64
"""Models with wider layers are bound by their matrix products, which these loops do not block for the caches."""


def missing() -> str | None:
    """Why C cannot run here."""
    return None if shutil.which("cc") else "there is no C compiler: cc is not on PATH"


def library(source: str, definitions: dict[str, int | bool]) -> ctypes.CDLL:
    """The shared library of ``limits/<source>`` compiled with ``definitions``; from the cache if it is there."""
    flags = [*FLAGS, *(f"-D{name}" if value is True else f"-D{name}={value}" for name, value in definitions.items() if value)]
    target = subprocess.run(["cc", "-march=native", "-Q", "--help=target"], capture_output=True).stdout
    version = subprocess.run(["cc", "--version"], capture_output=True, check=True).stdout
    texts = [path.read_bytes() for path in sorted(SOURCES.iterdir())]
    digest = hashlib.sha256(b"\0".join([version, target, source.encode(), " ".join(flags).encode(), *texts])).hexdigest()[:20]
    path = CACHE / f"{Path(source).stem}-{digest}.so"
    if not path.exists():
        CACHE.mkdir(exist_ok=True)
        (CACHE / ".gitignore").write_text("*\n")
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            built = Path(folder) / path.name
            subprocess.run(["cc", *flags, "-o", str(built), str(SOURCES / source), "-lm"], check=True)
            os.replace(built, path)
    return ctypes.CDLL(str(path))


def _sizes(spec: TrainSpec) -> dict[str, int | bool]:
    names = ("INPUTS", "HIDDEN1", "HIDDEN2", "OUTPUTS")
    return {**dict(zip(names, spec.sizes, strict=True)), "SOFTMAX": spec.loss == "softmax_cross_entropy"}


def _pointers(weights: list[NDArray[np.float32]]) -> Any:
    return (ctypes.c_void_p * len(weights))(*(weight.ctypes.data for weight in weights))


def train(spec: TrainSpec, data: Data, threads: int) -> Task | None:
    """All epochs in one call; one core however many there are. None: not three layers of at most `WIDEST`."""
    if len(spec.widths) != 3 or max(spec.sizes) > WIDEST:
        return None
    built = library("train.c", {**_sizes(spec), "BATCH": spec.batch, spec.optimizer.upper(): True})
    built.train.restype = ctypes.c_float
    arrays = [ctypes.c_void_p(data[name].ctypes.data) for name in ("x", "y", "orders")]
    numbers = [ctypes.c_int64(spec.samples), ctypes.c_int64(spec.epochs), ctypes.c_float(spec.learning_rate)]
    arguments = (*arrays, _pointers(data["weights"]), *numbers)

    def run(keep: Data = data) -> float:
        return float(built.train(*arguments))

    return Task(run)


def infer(spec: InferSpec, data: Data, threads: int) -> Task | None:
    """A call on one core; None: another route, or not three layers."""
    if spec.route != "prepared" or len(spec.model.widths) != 3:
        return None
    built = library("infer.c", {**_sizes(spec.model), "ROWS": spec.rows})
    built.load(_pointers(data["weights"]))
    x, out = data["x"], np.empty((spec.rows, spec.model.widths[-1]), np.float32)
    arguments = ctypes.c_void_p(x.ctypes.data), ctypes.c_void_p(out.ctypes.data)

    def run(keep: Data = data) -> NDArray[np.float32]:
        built.infer(*arguments)
        return out

    return Task(run)


PEERS = (
    Peer(
        "plain C",
        "plain C",
        "",
        missing,
        train=train,
        infer=infer,
        note="cc -O3 -march=native, every size a constant, one core; subnormals count as 0 while training.",
    ),
)
