"""The workloads that ``python -m fastnn bench`` runs: the first rows of the table in ``benchmarks/workloads.py``."""

from __future__ import annotations

from fastnn.bench.specs import InferSpec, ProcessSpec, TrainSpec, Workload

BLOBS = TrainSpec(2, (25, 15, 4), "softmax_cross_entropy", "adam", 1e-3, samples=5000, batch=32, epochs=5)

W1 = Workload("W1", "blobs", "2-25-15-4 softmax, Adam, N 5,000, batch 32, 5 epochs", BLOBS)

W6 = tuple(
    Workload("W6", f"blobs-{rows}-{route}", f"W1's model, {rows} row{'s' * (rows > 1)}, {text}", InferSpec(BLOBS, rows, route))
    for rows in (1, 32)
    for route, text in (("predict", "predict(verbose=0)"), ("call", "model(x)"), ("prepared", "prepared call"))
)

_FIRST_FIT = "a process: import, build, one epoch of W1"
QUICK_TO_START = ("fastnn", "numpy", "jax scan", "jax jit", "torch eager", "keras jax", "keras tensorflow", "sklearn")
"""Ways of using the libraries that do not compile longer to run faster."""

W8 = tuple(
    Workload("W8", name, title, spec, peers, repeats, all_threads=True)
    for name, title, spec, peers, repeats in (
        ("import", "a process that imports the library", ProcessSpec("import", BLOBS), None, 7),
        ("first-fit-warm", _FIRST_FIT, ProcessSpec("first_fit", BLOBS), QUICK_TO_START, 7),
        ("first-fit-cold", f"{_FIRST_FIT}; every cache empty", ProcessSpec("first_fit", BLOBS, cold=True), QUICK_TO_START, 1),
    )
)

SHORT = (W1, *W6, *W8)
