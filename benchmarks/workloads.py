"""The table of workloads. Its first rows and the classes of specs are in ``fastnn.bench``, which the short form uses as well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastnn.bench.specs import InferSpec, KernelSpec, MemorySpec, QualitySpec, SweepSpec, TrainSpec, Workload
from fastnn.bench.workloads import BLOBS, W1, W6, W8

ENTROPY, SQUARES = "softmax_cross_entropy", "mean_squared_error"

AUTO_MPG = TrainSpec(9, (64, 64, 1), SQUARES, "rmsprop", 1e-3, samples=314, batch=32, epochs=100)
MNIST = TrainSpec(784, (512, 512, 10), ENTROPY, "adam", 1e-3, samples=60_000, batch=128, epochs=1)
MNIST_SMALL = TrainSpec(784, (128, 10), ENTROPY, "adam", 1e-3, samples=60_000, batch=32, epochs=1)
IRIS = TrainSpec(4, (6, 6, 3), ENTROPY, "sgd", 1e-2, samples=150, batch=5, epochs=100)
WIDE = TrainSpec(4096, (4096, 4096, 1000), ENTROPY, "adam", 1e-3, samples=2560, batch=256, epochs=1)
SWEEP = SweepSpec(replace(BLOBS, epochs=20), models=256)

FAST = ("fastnn", "jax scan", "jax jit", "plain C", "numpy")
"""Peers that train W1 in less than 10 s for 200 epochs."""

TRAINING = (
    W1,
    Workload("W1", "blobs-100", "W1, 100 epochs (subnormal moments)", replace(BLOBS, epochs=100), peers=FAST, repeats=5),
    Workload("W1", "blobs-200", "W1, 200 epochs (subnormal moments)", replace(BLOBS, epochs=200), peers=FAST, repeats=5),
    Workload("W2", "auto-mpg", "9-64-64-1 regression, RMSprop, N 314, batch 32, 100 epochs", AUTO_MPG, repeats=9),
    Workload("W3", "mnist-512", "784-512-512-10 softmax, Adam, N 60,000, batch 128, 1 epoch", MNIST, repeats=5),
    Workload("W3", "mnist-128", "784-128-10 softmax, Adam, N 60,000, batch 32, 1 epoch", MNIST_SMALL, repeats=5),
    Workload("W4", "iris", "4-6-6-3 softmax, SGD, N 150, batch 5, 100 epochs", IRIS, repeats=9),
    Workload("W5", "wide", "4096-4096-4096-1000 softmax, Adam, batch 256, 10 steps", WIDE, repeats=3),
)


def _batch(batch: int) -> Workload:
    steps = max(20, min(400, 4096 // batch))  # enough that what a fit costs once does not count
    spec = replace(MNIST_SMALL, samples=steps * batch, batch=batch)
    return Workload("W3", f"batch-{batch}", f"784-128-10, Adam, batch {batch}, {steps} steps", spec)


BATCHES = tuple(_batch(batch) for batch in (1, 4, 16, 64, 256, 1024))
"""Step time over batch size."""


def _calls(name: str, title: str, model: TrainSpec) -> list[Workload]:
    routes = {"predict": "predict(verbose=0)", "call": "model(x)", "prepared": "prepared call"}
    return [
        Workload("W6", f"{name}-{rows}-{route}", f"{title}, {rows} row{'s' * (rows > 1)}, {text}", InferSpec(model, rows, route))
        for rows in (1, 32)
        for route, text in routes.items()
    ]


INFERENCE = (*W6, *_calls("mnist", "784-512-512-10", MNIST))


def _product(m: int, n: int, k: int, layout: str = "NN") -> Workload:
    spec = KernelSpec("matmul", (m, n, k), *(letter == "T" for letter in layout))
    return Workload("W7", f"matmul-{m}x{n}x{k}-{layout}", f"({m}, {k}) @ ({k}, {n}), {layout}", spec)


def _layer_products(spec: TrainSpec) -> list[Workload]:
    """x @ W, dy @ W.T and x.T @ dy of every layer, B rows a batch."""
    rows, found = spec.batch, []
    for before, after in zip(spec.sizes, spec.widths, strict=False):
        found += [_product(rows, after, before), _product(rows, before, after, "NT"), _product(before, after, rows, "TN")]
    return found


SQUARE = tuple(_product(size, size, size) for size in (64, 128, 256, 512, 1024, 2048, 4096))
SHAPES = tuple(
    {row.name: row for spec in (BLOBS, AUTO_MPG, MNIST, MNIST_SMALL, IRIS, WIDE) for row in _layer_products(spec)}.values()
)

_STREAM, _STREAM_ROWS = (16_000_000,), (16_000, 1000)


def _kernel(op: str, title: str, shape: tuple[int, ...], **settings: Any) -> Workload:
    name = f"{op}-{'x'.join(map(str, shape))}"
    return Workload("W7", name, f"{title}, {shape[0] if len(shape) == 1 else shape}", KernelSpec(op, shape), **settings)


LIMITS = (
    _kernel("multiply_add", "multiply-adds in registers", (1_000_000_000,)),
    *(_kernel(op, f"memory: {op}", (32_000_000,)) for op in ("copy", "scale", "update", "read")),
)
"""What the machine can do: the limits that stand beside the kernels."""

KERNELS = (
    *LIMITS,
    *SQUARE,
    *SHAPES,
    *(
        _kernel(ENTROPY, "softmax-cross-entropy and gradient", shape)
        for shape in ((128, 10), (4096, 1000), (1024, 32_000), (256, 128_256))
    ),
    *(
        _kernel(op, op.replace("_", " "), _STREAM_ROWS if name == "softmax" else _STREAM)
        for name in ("relu", "sigmoid", "tanh", "softmax")
        for op in (name, f"{name}_backward")
    ),
    _kernel("adam", "Adam", (10_000_000,)),
)

FORM_PEERS = ("fastnn", "numba parallel", "numba one thread")
FORMS = tuple(
    Workload(
        "forms",
        f"{row.name}{'-busy' * busy}",
        f"{row.title}{', a busy neighbour' * busy}",
        row.spec,
        peers=FORM_PEERS,
        neighbour=busy,
        all_threads=True,
    )
    for op, shape in ((ENTROPY, (128, 10)), (ENTROPY, (4096, 1000)), ("relu", (65_536,)), ("relu", (16_000_000,)))
    for row in (_kernel(op, op.replace("_", " "), shape),)
    for busy in (False, True)
)
"""One kernel as ``njit(parallel=True)``, as one thread, and on fastnn's team."""

SWEEPS = (Workload("W9", "sweep", "256 models of W1's shape, 20 epochs each", SWEEP, repeats=1),)

PREDICTS = InferSpec(BLOBS, 1, "predict")
MEMORY = tuple(
    Workload("W10", f"memory-{name}", title, spec, peers, repeats=1, all_threads=True)
    for name, title, spec, peers in (
        ("mnist-512", "peak memory of a process that runs W3", MemorySpec(MNIST), None),
        ("wide", "peak memory of a process that runs W5", MemorySpec(WIDE), None),
        ("predict", "growth of memory over 100,000 predicts", MemorySpec(PREDICTS, 100_000), ("fastnn",)),
    )
)

QUALITY = tuple(
    Workload("W11", name, title, spec, ("fastnn", "sklearn", *more), repeats=1, all_threads=True)
    for name, title, spec, more in (
        ("images", "seconds to 97% of the test images", QualitySpec("images", 0.97), ()),
        ("smooth", "error over time, tabular data, a smooth function", QualitySpec("smooth"), ("sklearn trees",)),
        ("steps", "error over time, tabular data, a function of steps", QualitySpec("steps"), ("sklearn trees",)),
    )
)

WORKLOADS = (*TRAINING, *BATCHES, *INFERENCE, *KERNELS, *FORMS, *W8, *SWEEPS, *MEMORY, *QUALITY)
"""The table."""


def select(names: str | None) -> tuple[Workload, ...]:
    """The rows named, a comma between them: by id ("W1"), key ("W1-blobs"), or the beginning of one or of a name; None: all.

    Raises
    ------
    ValueError
        Where a name fits no row.
    """
    if names is None:
        return WORKLOADS
    chosen: set[str] = set()
    for name in (part.strip() for part in names.split(",")):
        found = {row.key for row in WORKLOADS if name in (row.id, row.key)}
        found = found or {row.key for row in WORKLOADS if row.key.startswith(name) or row.name.startswith(name)}
        if not name or not found:
            known = ", ".join(dict.fromkeys(row.id for row in WORKLOADS))
            raise ValueError(f"no workload is called {name!r}; ids are {known}, and names such as {W1.key!r} or 'matmul'")
        chosen |= found
    return tuple(row for row in WORKLOADS if row.key in chosen)


def find(key: str) -> Workload:
    """The row with this key."""
    return next(row for row in WORKLOADS if row.key == key)
