"""The libraries that run the workloads. One module a library; each exports ``PEERS``, one `Peer` a way of using it.

A module imports its library inside its functions only: a worker process sets thread variables, affinity and the peer's
``environment`` before anything of the library is imported, and the runner, which lists the peers, imports none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastnn.bench.specs import CostSpec, Data, InferSpec, KernelSpec, SweepSpec, TrainSpec
from fastnn.bench.timing import Task

MODULES = ("fastnn", "plain_c", "numpy", "numba", "machine", "jax", "torch", "keras", "sklearn", "trees", "onnxruntime", "mkl")
"""Modules of this package, in the order of tables and charts."""


@dataclass(frozen=True)
class Peer:
    """One way of using one library. What it cannot do stays None: a visible gap in the table.

    Every function gets the spec, its data (`make_data`) and the number of threads, does everything that is not to be timed
    (build, upload, compile), and returns a `Task`. Threads: the worker sets the variables (``OMP_NUM_THREADS`` ...) and the
    affinity; a library that needs a call of its own (``torch.set_num_threads``) makes it here. float32 throughout.

    Attributes
    ----------
    name : str
        In tables and on the command line: "jax scan", "torch eager", "keras tensorflow".
    group : str
        The library: "jax"; charts give it one colour.
    import_line : str
        The statement that W8 times: "import jax".
    missing : callable
        Returns why the peer cannot run here ("torch is not installed"), or None. It must not import the library: `absent` does.
    train : callable, optional
        ``(TrainSpec, data, threads) -> Task``, or None for what the library cannot train. ``reset()`` goes back to
        ``data["weights"]`` and a fresh optimizer; ``run()`` trains all epochs in the order of ``data["orders"]``, the short last
        batch included, and returns the last epoch's mean loss over the samples, as ``fit`` reports it (each batch's loss before
        its update).
    infer : callable, optional
        ``(InferSpec, data, threads) -> Task``, or None for a route that the library does not have; ``run()`` takes
        ``data["x"]`` from NumPy and returns the probabilities (rows, classes), as a NumPy array.
    kernel : callable, optional
        ``(KernelSpec, data, threads) -> Task``, or None for an operation that the library does not have; ``run()`` computes once,
        into the preallocated arrays where the library can, and returns the main result (see `kernel_data.result_name`), or None
        for what is not to be compared. Anything asynchronous is waited for inside ``run``.
    cost : callable, optional
        ``(CostSpec, data, threads) -> Task``, or None for a cost that the library does not have.
    sweep : callable, optional
        ``(SweepSpec, data, threads) -> Task`` that trains all models in one go and returns their losses (models,). Without it
        the harness trains `LOOP` of them one by one, and reports models a second.
    environment : mapping
        Variables that the worker's process starts with ({"KERAS_BACKEND": "jax"}).
    cold_environment : callable, optional
        From an empty folder to the variables that keep the library's caches there (W8, cold); None: it has no cache on disk.
    own_order : bool
        The library shuffles by itself and takes no order: its loss is compared within a wider tolerance.
    device : str
        Where it computes: "cpu" or "cuda"; a run has the peers of one device, and names are unique there.
    note : str
        A line under the table: settings, versions of flags, what differs.
    """

    name: str
    group: str
    import_line: str
    missing: Callable[[], str | None]
    train: Callable[[TrainSpec, Data, int], Task | None] | None = None
    infer: Callable[[InferSpec, Data, int], Task | None] | None = None
    kernel: Callable[[KernelSpec, Data, int], Task | None] | None = None
    cost: Callable[[CostSpec, Data, int], Task | None] | None = None
    sweep: Callable[[SweepSpec, Data, int], Task] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    cold_environment: Callable[[Path], dict[str, str]] | None = None
    own_order: bool = False
    device: str = "cpu"
    note: str = ""


def absent(*packages: str) -> Callable[[], str | None]:
    """``Peer.missing`` of a library that needs ``packages``: the first one that is not installed, without importing any."""

    def missing() -> str | None:
        for package in packages:
            if find_spec(package) is None:
                return f"{package} is not installed"
        return None

    return missing


def all_peers(device: str = "cpu") -> dict[str, Peer]:
    """Every peer of ``device`` by name, in the order of `MODULES`; a module that is not there is left out."""
    found: dict[str, Peer] = {}
    for name in MODULES:
        if find_spec(f"{__name__}.{name}") is None:
            continue
        module: Any = import_module(f"{__name__}.{name}")
        found |= {peer.name: peer for peer in module.PEERS if peer.device == device}
    return found
