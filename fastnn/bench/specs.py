"""What a workload is, and its data: the same arrays for every library that runs it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from fastnn_kernels.instructions import CONTROL_WORDS, INSTRUCTIONS, PRODUCTS
from fastnn_kernels.reference.batches import shuffle
from numpy.typing import NDArray

from fastnn.bench import kernel_data

Data = dict[str, Any]
"""Arrays by name; see `make_data`."""

ACTIVATION = "relu"
"""The activation of every hidden layer."""


@dataclass(frozen=True)
class TrainSpec:
    """Train a stack of dense layers for ``epochs`` epochs; relu between the layers.

    ``loss`` is "softmax_cross_entropy" (labels int32) or "mean_squared_error" (targets float32 (N, outputs)); ``optimizer`` is
    "adam", "rmsprop" or "sgd". The last batch of an epoch is short where ``batch`` does not divide ``samples``.
    """

    inputs: int
    widths: tuple[int, ...]
    loss: str
    optimizer: str
    learning_rate: float
    samples: int
    batch: int
    epochs: int

    @property
    def sizes(self) -> tuple[int, ...]:
        """Features of the input and of every layer's output."""
        return (self.inputs, *self.widths)

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.epochs * math.ceil(self.samples / self.batch)

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum((before + 1) * after for before, after in zip(self.sizes, self.widths, strict=False))

    @property
    def flops(self) -> int:
        """Multiplications and additions of the matrix products, forward and backward (no gradient of the input)."""
        products = [before * after for before, after in zip(self.sizes, self.widths, strict=False)]
        return 2 * self.samples * self.epochs * (3 * sum(products) - products[0])


@dataclass(frozen=True)
class SweepSpec:
    """Train ``models`` models of one shape on the same samples, each with its own weights and its own order of the samples."""

    model: TrainSpec
    models: int


@dataclass(frozen=True)
class InferSpec:
    """Predict ``rows`` rows with the model of a `TrainSpec`.

    ``route`` is "predict" (the library's call for a whole data set), "call" (the model called on an array) or "prepared" (the
    leanest documented way that takes a NumPy array and returns one).
    """

    model: TrainSpec
    rows: int
    route: str


@dataclass(frozen=True)
class KernelSpec:
    """One operation on preallocated arrays; ``shape`` and ``op`` as in `make_data`. ``dtype``: float64 is for products alone."""

    op: str
    shape: tuple[int, ...]
    transpose_a: bool = False
    transpose_b: bool = False
    dtype: str = "float32"

    @property
    def flops(self) -> int:
        """Arithmetic of what the multiply-adds of the machine bound; 0 for an operation that memory bounds."""
        return 2 * math.prod(self.shape) if self.op in (*PRODUCTS, "multiply_add") else 0

    @property
    def bytes(self) -> int:
        """The least traffic: every large operand read once, every large result written once, float32."""
        if self.flops:
            return 0
        if self.op in INSTRUCTIONS:
            return kernel_data.streamed(self.op, self.shape)
        return 4 * math.prod(self.shape) * {"update": 3, "read": 1}.get(self.op, 2)


@dataclass(frozen=True)
class CostSpec:
    """What running rows costs besides their arithmetic.

    ``what`` is "row" (a row of the interpreter whose array is empty), "meeting" (the same row, where two workers meet first),
    "call" (a call from Python that runs such a row on one worker) or "wake" (the same on two workers, one of them parked).
    """

    what: str


@dataclass(frozen=True)
class ProcessSpec:
    """A whole process: ``work`` is "import" or "first_fit" (import, data, one epoch of ``model``); ``cold``: caches empty."""

    work: str
    model: TrainSpec
    cold: bool = False


@dataclass(frozen=True)
class MemorySpec:
    """Peak memory of a process that trains (`TrainSpec`) or calls ``predict`` ``calls`` times (`InferSpec`)."""

    work: TrainSpec | InferSpec
    calls: int = 1


@dataclass(frozen=True)
class QualitySpec:
    """Time to a result: ``dataset`` is "images" (to ``target`` accuracy), "smooth" or "steps" (tables; error over time)."""

    dataset: str
    target: float = 0.0


Spec = TrainSpec | SweepSpec | InferSpec | KernelSpec | CostSpec | ProcessSpec | MemorySpec | QualitySpec


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    ``id`` and ``name`` select it ("W1", "blobs"), ``title`` describes it in a line. ``peers`` limits it to the ones named;
    ``repeats`` caps the repeats of a run; ``neighbour``: another process keeps a core busy meanwhile; ``all_threads``: not run on
    one thread.
    """

    id: str
    name: str
    title: str
    spec: Spec
    peers: tuple[str, ...] | None = None
    repeats: int = 15
    neighbour: bool = False
    all_threads: bool = False

    @property
    def key(self) -> str:
        """``W1-blobs``: how results name it."""
        return f"{self.id}-{self.name}"

    @property
    def kind(self) -> str:
        """``train``, ``sweep``, ``infer``, ``kernel``, ``cost``, ``process``, ``memory`` or ``quality``."""
        return type(self.spec).__name__.removesuffix("Spec").lower()


def make_data(spec: Spec, seed: int) -> Data:
    """Fresh random arrays for ``spec``, float32 unless said otherwise; the same for the same seed.

    Returns
    -------
    dict
        `TrainSpec`: ``x`` (N, inputs), ``y`` (N,) int32 or (N, outputs), ``weights`` [kernel (I, O), bias (O,), ...],
        ``orders`` (epochs, N) int64: the samples of each epoch in order, and ``seed``.
        `SweepSpec`: ``x`` and ``y``, ``weights`` (a list of such lists, one a model), ``orders`` (models, epochs, N), ``seeds``.
        `InferSpec`: ``x`` (rows, inputs), ``weights``.
        `KernelSpec`: the operands of the instruction ``op`` by their names in its contract line, its dimension letters bound to
        ``shape`` in order, such as ``x``, ``dout`` and ``dx`` (N,) of "relu_backward"; ``scale`` makes a loss the mean one.
        "matmul" and "matmul_bfloat16" of shape (M, N, K): ``a`` (M, K), or (K, M) if ``transpose_a``, ``b`` (K, N), or (N, K) if
        ``transpose_b``, ``out`` (M, N). What is no instruction: "copy" (out = x), "scale" (out = 2 x), "update" (out = out / 2 +
        x): ``x`` and ``out``; "read" (the sum of x, within (0, 1)): ``x``; "multiply_add" (as many of them, in registers): nothing.
        `CostSpec`: nothing.
    """
    generator = np.random.default_rng(seed)
    if isinstance(spec, TrainSpec):
        x, y = samples(spec, generator)
        order_seed = int(generator.integers(2**31))
        return {"x": x, "y": y, "weights": initial_weights(spec, generator), "orders": orders(spec, order_seed), "seed": order_seed}
    if isinstance(spec, SweepSpec):
        x, y = samples(spec.model, generator)
        weights = [initial_weights(spec.model, generator) for _ in range(spec.models)]
        seeds = [int(seed) for seed in generator.integers(2**31, size=spec.models)]
        all_orders = np.stack([orders(spec.model, seed) for seed in seeds])
        return {"x": x, "y": y, "weights": weights, "orders": all_orders, "seeds": seeds}
    if isinstance(spec, InferSpec):
        x, _ = samples(replace(spec.model, samples=spec.rows), generator)
        return {"x": x, "weights": initial_weights(spec.model, generator)}
    if isinstance(spec, KernelSpec):
        if spec.op in PRODUCTS:
            return product_data(spec, generator)
        return kernel_data.draw(spec.op, spec.shape, generator) if spec.op in INSTRUCTIONS else stream_data(spec, generator)
    if isinstance(spec, CostSpec):
        return {}
    raise TypeError(f"{type(spec).__name__} has no data of its own")


def samples(spec: TrainSpec, generator: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Inputs and targets that a model can learn: noisy clusters, or a noisy linear function."""
    count, classes = spec.samples, spec.widths[-1]
    x = generator.standard_normal((count, spec.inputs), np.float32)
    if spec.loss == "mean_squared_error":
        slopes = generator.standard_normal((spec.inputs, classes), np.float32) / np.float32(math.sqrt(spec.inputs))
        return x, x @ slopes + np.float32(0.5) * generator.standard_normal((count, classes), np.float32)
    centers = generator.standard_normal((classes, spec.inputs), np.float32)
    labels = generator.integers(classes, size=count, dtype=np.int32)
    x += np.float32(min(1.5, 6 / math.sqrt(spec.inputs))) * centers[labels]
    return x, labels


def initial_weights(spec: TrainSpec, generator: np.random.Generator) -> list[NDArray[np.float32]]:
    """Kernels uniform within sqrt(6 / (I + O)) (Glorot & Bengio 2010), biases zero."""
    weights = []
    for before, after in zip(spec.sizes, spec.widths, strict=False):
        limit = math.sqrt(6 / (before + after))
        weights.append(generator.uniform(-limit, limit, (before, after)).astype(np.float32))
        weights.append(np.zeros(after, np.float32))
    return weights


def orders(spec: TrainSpec, seed: int) -> NDArray[np.int64]:
    """The samples of each epoch in order, (epochs, N): what fastnn's own ``fit`` draws after ``set_random_seed(seed)``."""
    state = np.random.SeedSequence([seed, 0]).generate_state(1, np.uint64).view(np.int64)
    index, before_first_step = np.arange(spec.samples), np.full(CONTROL_WORDS, -1)
    drawn = np.empty((spec.epochs, spec.samples), np.int64)
    for row in drawn:
        shuffle(before_first_step, index, state)
        row[:] = index
    return drawn


def product_data(spec: KernelSpec, generator: np.random.Generator) -> Data:
    """The operands of a matrix product; the result is written once so that its pages are there."""
    m, n, k = spec.shape
    shapes = {"a": (k, m) if spec.transpose_a else (m, k), "b": (n, k) if spec.transpose_b else (k, n), "out": (m, n)}
    data = {name: generator.standard_normal(shape, np.dtype(spec.dtype).type) for name, shape in shapes.items()}
    operands = {each.name: each.dtype for each in INSTRUCTIONS[spec.op].operands}
    return {name: kernel_data.bits(values) if operands[name] == "b2" else values for name, values in data.items()}


def stream_data(spec: KernelSpec, generator: np.random.Generator) -> Data:
    """The arrays of a loop that shows what the machine can do."""
    if spec.op == "read":
        return {"x": generator.random(spec.shape, np.float32)}
    return {} if spec.op == "multiply_add" else {name: generator.standard_normal(spec.shape, np.float32) for name in ("x", "out")}
