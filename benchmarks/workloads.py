"""The table of workloads. Its first rows and the classes of specs are in ``fastnn.bench``, which the short form uses as well."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fastnn.bench.specs import CostSpec, InferSpec, KernelSpec, MemorySpec, QualitySpec, SweepSpec, TrainSpec, Workload
from fastnn.bench.workloads import BLOBS, W1, W6, W8

ENTROPY, SQUARES = "softmax_cross_entropy", "mean_squared_error"

AUTO_MPG = TrainSpec(9, (64, 64, 1), SQUARES, "rmsprop", 1e-3, samples=314, batch=32, epochs=100)
MNIST = TrainSpec(784, (512, 512, 10), ENTROPY, "adam", 1e-3, samples=60_000, batch=128, epochs=1)
MNIST_SMALL = TrainSpec(784, (128, 10), ENTROPY, "adam", 1e-3, samples=60_000, batch=32, epochs=1)
IRIS = TrainSpec(4, (6, 6, 3), ENTROPY, "sgd", 1e-2, samples=150, batch=5, epochs=100)
WIDE = TrainSpec(4096, (4096, 4096, 1000), ENTROPY, "adam", 1e-3, samples=2560, batch=256, epochs=1)
SWEEP = SweepSpec(replace(BLOBS, epochs=20), models=256)

FAST = ("fastnn", "jax scan", "plain C", "numpy")
"""Peers that train W1 for 200 epochs in a second or two."""

ONE_A_LIBRARY = ("fastnn", "numpy", "jax scan", "torch eager", "keras jax spe", "keras tensorflow spe", "sklearn")
"""The fastest way of using each library, for what takes long."""

NO_VARIANTS = (*ONE_A_LIBRARY, "plain C", "jax jit")
"""Not Keras's defaults nor ``torch.compile``, which W1 and W3's wide model show."""

TRAINING = (
    W1,
    Workload("W1", "blobs-100", "W1, 100 epochs (subnormal moments)", replace(BLOBS, epochs=100), peers=FAST, repeats=5),
    Workload("W1", "blobs-200", "W1, 200 epochs (subnormal moments)", replace(BLOBS, epochs=200), peers=FAST, repeats=5),
    Workload("W2", "auto-mpg", "9-64-64-1 regression, RMSprop, N 314, batch 32, 100 epochs", AUTO_MPG, NO_VARIANTS, repeats=9),
    Workload("W3", "mnist-512", "784-512-512-10 softmax, Adam, N 60,000, batch 128, 1 epoch", MNIST, repeats=5),
    Workload("W3", "mnist-128", "784-128-10 softmax, Adam, N 60,000, batch 32, 1 epoch", MNIST_SMALL, NO_VARIANTS, repeats=5),
    Workload("W4", "iris", "4-6-6-3 softmax, SGD, N 150, batch 5, 100 epochs", IRIS, NO_VARIANTS, repeats=9),
    Workload("W5", "wide", "4096-4096-4096-1000 softmax, Adam, batch 256, 10 steps", WIDE, peers=ONE_A_LIBRARY, repeats=3),
)


def _steps(spec: TrainSpec, milliseconds: float) -> int:
    """Steps of one run that takes about ``milliseconds``, at 100 GFLOP/s; enough that what a fit costs once does not count."""
    return max(5, min(400, int(1e8 * milliseconds * spec.steps / spec.flops)))


def _batch(batch: int) -> Workload:
    steps = max(20, min(400, 4096 // batch))
    spec = replace(MNIST_SMALL, samples=steps * batch, batch=batch)
    return Workload("W3", f"batch-{batch}", f"784-128-10, Adam, batch {batch}, {steps} steps", spec, peers=ONE_A_LIBRARY, repeats=7)


BATCHES = tuple(_batch(batch) for batch in (1, 4, 16, 64, 256, 1024, 4096))
"""Step time over batch size."""


def _growth(name: str, size: int, inputs: int, widths: tuple[int, ...], batch: int, peers: tuple[str, ...]) -> Workload:
    spec = TrainSpec(inputs, widths, ENTROPY, "adam", 1e-3, samples=batch, batch=batch, epochs=1)
    steps = _steps(spec, 40)
    title = (
        f"{inputs}-{'-'.join(map(str, widths))}" if len(widths) < 5 else f"{inputs}-{len(widths) - 1} x {widths[0]}-{widths[-1]}"
    )
    spec = replace(spec, samples=steps * batch)
    return Workload("growth", f"{name}-{size}", f"{title}, Adam, batch {batch}", spec, peers=peers, repeats=5)


BESIDE = ("fastnn", "numpy")
GROWTH = {
    "batch": tuple(_growth("batch", 2**n, 64, (64, 64, 10), 2**n, BESIDE) for n in range(13)),
    "width": tuple(_growth("width", 2**n, 2**n, (2**n, 2**n, 10), 32, BESIDE[: 1 + (n < 11)]) for n in range(14)),
    "depth": tuple(_growth("depth", 2**n, 64, (*[64] * 2**n, 10), 32, BESIDE) for n in range(6)),
}
"""Step time over batch size, over width (and so over parameters, up to 134 million), and over depth: one of them grows."""


def _calls(name: str, title: str, model: TrainSpec) -> list[Workload]:
    routes = {"predict": "predict(verbose=0)", "call": "model(x)", "prepared": "prepared call"}
    return [
        Workload("W6", f"{name}-{rows}-{route}", f"{title}, {rows} row{'s' * (rows > 1)}, {text}", InferSpec(model, rows, route))
        for rows in (1, 32)
        for route, text in routes.items()
    ]


MANY = tuple(
    Workload("W6", f"mnist-4096-{route}", f"784-512-512-10, a batch of 4,096 rows, {text}", InferSpec(MNIST, 4096, route))
    for route, text in (("predict", "predict(batch_size=4096)"), ("prepared", "prepared call"))
)
INFERENCE = (*W6, *_calls("mnist", "784-512-512-10", MNIST), *MANY)


def _product(m: int, n: int, k: int, layout: str = "NN", dtype: str = "float32") -> Workload:
    op, own = ("matmul_bfloat16", "float32") if dtype == "bfloat16" else ("matmul", dtype)
    spec = KernelSpec(op, (m, n, k), layout[0] == "T", layout[1] == "T", own)
    name, other = f"matmul-{m}x{n}x{k}-{layout}", dtype != "float32"
    return Workload("W7", f"{name}{f'-{dtype}' * other}", f"({m}, {k}) @ ({k}, {n}), {layout}{f', {dtype}' * other}", spec)


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

BFLOAT16 = tuple(_product(size, size, size, dtype="bfloat16") for size in (64, 256, 1024))
DOUBLE = tuple(_product(size, size, size, dtype="float64") for size in (64, 256, 1024, 2048))

_STREAM, _STREAM_ROWS = (16_000_000,), (16_000, 1000)


def _kernel(op: str, title: str, shape: tuple[int, ...], **settings: Any) -> Workload:
    name, size = (
        "-".join(filter(None, (op, "x".join(map(str, shape))))),
        f", {shape[0] if len(shape) == 1 else shape}" if shape else "",
    )
    return Workload("W7", name, f"{title}{size}", KernelSpec(op, shape), **settings)


LIMITS = (
    _kernel("multiply_add", "multiply-adds in registers", (1_000_000_000,)),
    *(_kernel(op, f"memory: {op}", (32_000_000,)) for op in ("copy", "scale", "update", "read")),
    _kernel("scale", "caches: scale", (65_536,)),
)
"""What the machine can do: the limits that stand beside the kernels."""

LOSSES = (
    "softmax_cross_entropy_dense",
    "sigmoid_cross_entropy",
    "sparse_categorical_cross_entropy",
    "categorical_cross_entropy",
    "binary_cross_entropy",
    "mean_squared_error",
    "mean_absolute_error",
)
METRICS = ("binary_accuracy", "categorical_accuracy", "sparse_categorical_accuracy")

KERNELS = (
    *LIMITS,
    *SQUARE,
    *SHAPES,
    *DOUBLE,
    *BFLOAT16,
    _kernel("to_bfloat16", "rounding to bfloat16", _STREAM),
    *(
        _kernel(ENTROPY, "softmax-cross-entropy and gradient", shape)
        for shape in ((128, 10), (4096, 1000), (1024, 32_000), (256, 128_256))
    ),
    *(
        _kernel(op, op.replace("_", " "), _STREAM_ROWS if "softmax" in name else _STREAM)
        for name in ("relu", "sigmoid", "tanh", "softmax", "log_softmax")
        for op in (name, f"{name}_backward")
    ),
    _kernel("dropout", "dropout", _STREAM),
    *(_kernel(op, f"{op.replace('_', ' ')} and gradient", (4096, 1000)) for op in LOSSES),
    *(_kernel(op, op.replace("_", " "), (4096, 1000)) for op in METRICS),
    _kernel("adam", "Adam", (10_000_000,)),
    *(_kernel(op, title, (10_000_000,)) for op, title in (("sgd", "SGD"), ("adagrad", "Adagrad"), ("rmsprop", "RMSprop"))),
    _kernel("sum_rows", "gradient of a bias: sum of rows", _STREAM_ROWS),
    _kernel("take_rows", "a batch of shuffled rows of bytes", (60_000, 3136, 60_000)),
    _kernel("put_rows", "a batch of rows of bytes put away", (60_000, 3136, 60_000)),
    _kernel("shuffle", "a shuffle", (60_000,)),
    *(_kernel(op, op.replace("_", " "), (4096,)) for op in ("accumulate_mean", "accumulate_loss", "loss_scale")),
    _kernel("next_batch", "next batch", ()),
    _kernel("next_update", "next update", (1,)),
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


def _beside_neighbour() -> tuple[Workload, ...]:
    steps = 20
    rows = (
        ("mnist-512", f"784-512-512-10, batch 128, {steps} steps", replace(MNIST, samples=128 * steps)),
        ("mnist-128", f"784-128-10, batch 32, {10 * steps} steps", replace(MNIST_SMALL, samples=320 * steps)),
        ("cross-entropy", "softmax-cross-entropy and gradient, (4096, 1000)", KernelSpec(ENTROPY, (4096, 1000))),
    )
    return tuple(
        Workload("neighbour", f"{name}{'-busy' * busy}", f"{title}{', a busy neighbour' * busy}", spec, NEIGHBOUR_PEERS, 15, busy)
        for name, title, spec in rows
        for busy in (False, True)
    )


NEIGHBOUR_PEERS = ("fastnn", "jax scan", "jax jit", "torch eager")
NEIGHBOUR = _beside_neighbour()
"""Steps and a kernel on one worker and on all, quiet and while another process keeps one of the other cores busy."""

COSTS = tuple(
    Workload("costs", what, title, CostSpec(what), FORM_PEERS, all_threads=True)
    for what, title in (
        ("row", "an empty row of the interpreter"),
        ("meeting", "the same, two workers meeting before it"),
        ("call", "a call from Python for an empty row, one worker"),
        ("wake", "the same with a second worker, parked before"),
    )
)
"""What running rows costs besides their arithmetic."""

SWEEPS = (Workload("W9", "sweep", "256 models of W1's shape, 20 epochs each", SWEEP, peers=ONE_A_LIBRARY, repeats=1),)

PREDICTS = InferSpec(BLOBS, 1, "predict")
MEMORY = tuple(
    Workload("W10", f"memory-{name}", title, spec, peers, repeats=1, all_threads=True)
    for name, title, spec, peers in (
        ("mnist-512", "peak memory of a process that runs W3", MemorySpec(MNIST), ONE_A_LIBRARY),
        ("wide", "peak memory of a process that runs W5", MemorySpec(WIDE), ONE_A_LIBRARY),
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

WORKLOADS = (
    *(*TRAINING, *BATCHES, *INFERENCE, *KERNELS, *FORMS, *NEIGHBOUR, *COSTS),
    *(*W8, *SWEEPS, *MEMORY, *QUALITY, *GROWTH["batch"], *GROWTH["width"], *GROWTH["depth"]),
)
"""The table."""


ONLY_CUDA = (
    _product(8192, 8192, 8192),
    *(_product(size, size, size, dtype="bfloat16") for size in (4096, 8192)),
    _kernel("multiply_add", "multiply-adds in registers", (100_000_000_000,)),
)
"""Rows that a CPU would need too long for."""


def rows_of(device: str) -> tuple[Workload, ...]:
    """The table, or on "cuda" W1 to W7 for all peers, with some larger rows."""
    if device == "cpu":
        return WORKLOADS
    limit = next(row.key for row in LIMITS if row.spec == KernelSpec("multiply_add", (1_000_000_000,)))
    rows = (*TRAINING, *BATCHES, *INFERENCE, *KERNELS, *ONLY_CUDA)
    return tuple(replace(row, peers=None) for row in rows if row.key != limit)


def select(names: str | None, device: str = "cpu") -> tuple[Workload, ...]:
    """The rows named, a comma between them: by id ("W1"), key ("W1-blobs"), or the beginning of one or of a name; None: all.

    Raises
    ------
    ValueError
        Where a name fits no row.
    """
    table = rows_of(device)
    if names is None:
        return table
    chosen: set[str] = set()
    for name in (part.strip() for part in names.split(",")):
        found = {row.key for row in table if name in (row.id, row.key)}
        found = found or {row.key for row in table if row.key.startswith(name) or row.name.startswith(name)}
        if not name or not found:
            known = ", ".join(dict.fromkeys(row.id for row in table))
            raise ValueError(f"no workload is called {name!r}; ids are {known}, and names such as {W1.key!r} or 'matmul'")
        chosen |= found
    return tuple(row for row in table if row.key in chosen)


def find(key: str) -> Workload:
    """The row with this key."""
    return next(row for row in (*WORKLOADS, *ONLY_CUDA) if row.key == key)
