"""The instruction set: one table that every target, the lowering, the adapters and the tests read.

An instruction is declared by its *contract line*::

    x (M, K) f, bias? (N,) f -> out (M, N) f, total+ (2,) f8; accumulate i, epsilon d

* left of the arrow: operands that are read; right of it: operands that are written;
* ``name?``: optional, its address is 0 (an array of length 0) when absent;
* ``name+``: written *and* read (in-out);
* ``name~``: a gradient: written, and read as well when the attribute ``accumulate`` is 1 (then the result is added to it);
* ``scratch (Z,)``: working memory that the engine supplies; on the CPU worker w uses the elements from ``w * (Z // workers)``,
  on a GPU blocks share it, and its first elements are 0 before a row and after it;
* dimensions are letters bound by the operands' shapes, or literal integers;
* dtypes: ``f`` the program's own (float32 or float64), ``f4`` float32, ``f8`` float64, ``b2`` bfloat16, kept as uint16 because
  NumPy has no such type, ``i4`` int32, ``i8`` int64, ``u1`` bytes;
* after the semicolon: attributes, ``i`` int64 or ``d`` float64.

A kernel is called as ``kernel(*operands, *attributes, worker, workers)`` in the order of its contract line. It allocates
nothing, raises nothing, and writes only the slice that belongs to ``worker``. An operand that is written must not overlap another
one: a kernel may read an element again after it has written its place.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DTYPES = {"f4": "float32", "f8": "float64", "b2": "uint16", "i4": "int32", "i8": "int64", "u1": "uint8"}
"""The dtypes of a contract line by NumPy's names; ``f`` is the program's own."""


def dtype_name(dtype: str, own: str) -> str:
    """NumPy's name of a contract line's ``dtype`` in a program whose own dtype is ``own``."""
    return own if dtype == "f" else DTYPES[dtype]


ROW_WORDS = 32
"""Length of one row of a bound table, in 8-byte words."""

ROW_FLAGS, ROW_OPERANDS = 1, 2
"""Word 0 of a row is the adapter's address, word 1 the flags; operand addresses, dimensions and attributes follow."""

FLAG_BARRIER, FLAG_STATUS = 1, 2
"""All workers meet before the row; the run may stop after the row, when it left a status in ``control``."""

BARRIER_WORDS = 16
BARRIER_BEGAN, BARRIER_STOP = 1, 8
NEVER = -1
"""Where workers meet: int64 words that begin with the arrivals counted so far; the count at which this run began; and, on a cache
line of its own, the position at which worker 0 decided to stop."""

CONTROL_WORDS = 8
STEP, POSITION, NEXT_POSITION, ITERATIONS, STATUS, DRAWS = range(6)
"""Words of the int64 vector ``control``: index of the current step in the epoch, the batch's first row, the next batch's
first row, updates made so far, trouble (see ``STATUS_*``), and what with the index of the step makes the number of its draw."""

STATUS_OK, STATUS_NON_FINITE_LOSS = 0, 1

RATES = 4
LEARNING_RATE, ADAM_RATE = 0, 1
"""Words of the float64 vector ``rates`` that ``next_update`` fills: this step's learning rate, and Adam's
``learning_rate * sqrt(1 - beta_2**t) / (1 - beta_1**t)``."""

EPSILON = 1e-7
"""Keras's ``backend.epsilon()``: losses keep probabilities this far from 0 and 1."""

REDUCTION_SUM, REDUCTION_MEAN, REDUCTION_WEIGHTED_MEAN = 0, 1, 2
"""How ``loss_scale`` makes one number of a batch of losses: their sum, divided by the rows that count, or by the sum of weights."""

ACTIVATION_LINEAR, ACTIVATION_RELU, ACTIVATION_SIGMOID, ACTIVATION_TANH = range(4)
"""The activations ``matmul`` can apply to its result."""

PRECISION_FLOAT32, PRECISION_TENSORFLOAT32 = range(2)
"""What the terms of a ``matmul`` of float32 may be computed in: numbers of 24 bits, or of 11 where a device is faster so."""

SPLITMIX_STEP, SPLITMIX_FIRST, SPLITMIX_SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
"""SplitMix64: what is added to the state for each number, and the factors that mix it."""

PHILOX_ROUNDS = 10
PHILOX_FIRST, PHILOX_SECOND = 0xD2511F53, 0xCD9E8D57
PHILOX_FIRST_KEY, PHILOX_SECOND_KEY = 0x9E3779B9, 0xBB67AE85
"""Philox4x32-10: the factors of a counter's first and third word, and what is added to a key's two words after each round."""

NO_CLASS = -(2**31)
"""Value of ``ignore_class`` that ignores nothing."""


@dataclass(frozen=True, slots=True)
class OperandSpec:
    """One operand of a contract line: ``shape`` holds dimension letters and literal ints."""

    name: str
    shape: tuple[str | int, ...]
    dtype: str
    reads: bool
    writes: bool
    optional: bool
    accumulates: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction: ``parallel`` says whether the kernel splits its work; otherwise worker 0 does it all."""

    name: str
    contract: str
    operands: tuple[OperandSpec, ...]
    attributes: tuple[tuple[str, str], ...]
    parallel: bool
    may_stop: bool
    accumulate: int | None
    """Place of the attribute ``accumulate``, if there is one."""

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Dimension letters in order of first appearance: the order of the words in a row."""
        letters = (size for operand in self.operands for size in operand.shape if isinstance(size, str))
        return tuple(dict.fromkeys(letters))


_OPERAND = re.compile(r"(\w+)([?+~]*) \(([^)]*)\) (f8|f4|f|b2|i4|i8|u1)")


def _operands(text: str, *, written: bool) -> list[OperandSpec]:
    found = []
    for name, marks, shape, dtype in _OPERAND.findall(text):
        sizes = (size.strip() for size in shape.split(",") if size.strip())
        dims = tuple(int(size) if size.isdigit() else size for size in sizes)
        found.append(OperandSpec(name, dims, dtype, not written or "+" in marks, written, "?" in marks, "~" in marks))
    return found


def parse(name: str, contract: str, *, parallel: bool = True, may_stop: bool = False) -> Instruction:
    """Read a contract line into an `Instruction`."""
    body, _, tail = contract.partition(";")
    inputs, _, outputs = body.partition("->")
    operands = _operands(inputs, written=False) + _operands(outputs, written=True)
    attributes = []
    for item in filter(None, (part.strip() for part in tail.split(","))):
        attribute, kind = item.split()
        attributes.append((attribute, kind))
    accumulate = next((place for place, (attribute, _) in enumerate(attributes) if attribute == "accumulate"), None)
    instruction = Instruction(name, contract, tuple(operands), tuple(attributes), parallel, may_stop, accumulate)
    words = ROW_OPERANDS + len(operands) + len(instruction.dimensions) + len(attributes)
    if words > ROW_WORDS:
        raise ValueError(f"instruction {name!r} needs {words} words, a row has {ROW_WORDS}")
    return instruction


_BATCH = {
    # where a pass begins (control[STEP] is -1): for i = S - 1, ..., 1 swap index[i] with index[floor(u * (i + 1))], the shuffle of
    # Fisher and Yates; u in [0, 1) are the upper 53 bits of SplitMix64 (Steele, Lea & Flood 2014), whose state goes on with the
    # next pass. Without index or state the order stays.
    "shuffle": "control (8,) i8 -> index?+ (S,) i8, state?+ (1,) i8",
    # control[STEP] += 1; control[POSITION] = control[NEXT_POSITION]; control[NEXT_POSITION] += batch
    "next_batch": "-> control+ (8,) i8; batch i",
    # out[b] = data[index[position + b]], without an index data[position + b]; R is the size of a row in bytes
    "take_rows": "data (S, R) u1, index? (S,) i8, control (8,) i8 -> out (B, R) u1",
    # data[position + b] = x[b]
    "put_rows": "x (B, R) u1, control (8,) i8 -> data (S, R) u1",
}


def _product(factors: str, sums: str) -> str:
    return (
        f"a (A0, A1) {factors}, b (B0, B1) {factors}, bias? (N,) {sums}, scratch (Z,) {sums} -> out~ (M, N) {sums}; "
        "transpose_a i, transpose_b i, activation i, negative_slope d, accumulate i, precision i"
    )


_LAYERS = {
    # out = activation(a @ b + bias), ACTIVATION_*; a is stored (K, M) if transpose_a, b (N, K) if transpose_b.
    # negative_slope is relu's; with `accumulate` there is neither bias nor activation. precision, of float32 factors: PRECISION_*.
    "matmul": _product("f", "f"),
    # the same of bfloat16 numbers, whose products are exact in float32, with float32 sums
    "matmul_bfloat16": _product("b2", "f4"),
    # out = the nearest bfloat16, of two the even one; infinite from 0x1.ffp127 on; NaN stays NaN; subnormals become 0; signs stay
    "to_bfloat16": "x (N,) f4 -> out (N,) b2",
    # out[n] = sum over m of x[m, n]
    "sum_rows": "x (M, N) f -> out~ (N,) f; accumulate i",
    # f(x) = max_value if x >= max_value, x if threshold < x < max_value, negative_slope * (x - threshold) otherwise
    "relu": "x (N,) f -> out (N,) f; negative_slope d, max_value d, threshold d",
    "relu_backward": "x (N,) f, dout (N,) f -> dx~ (N,) f; negative_slope d, max_value d, threshold d, accumulate i",
    "sigmoid": "x (N,) f -> out (N,) f",
    "sigmoid_backward": "out (N,) f, dout (N,) f -> dx~ (N,) f; accumulate i",
    "tanh": "x (N,) f -> out (N,) f",
    "tanh_backward": "out (N,) f, dout (N,) f -> dx~ (N,) f; accumulate i",
    # over the last axis
    "softmax": "x (M, C) f -> out (M, C) f",
    "softmax_backward": "out (M, C) f, dout (M, C) f -> dx~ (M, C) f; accumulate i",
    "log_softmax": "x (M, C) f -> out (M, C) f",
    "log_softmax_backward": "out (M, C) f, dout (M, C) f -> dx~ (M, C) f; accumulate i",
    # out[i] = scale * x[i] where number n(i) is kept, else 0; its own gradient. Number n is word n % 4 of Philox4x32-10 (Salmon,
    # Moraes, Dror & Shaw 2011) of the key (seed, seed >> 32) and the counter (n // 4, call, draw, draw >> 32), draw =
    # control[DRAWS] + control[STEP]; it is kept if its upper 31 bits are less than ``kept``, so with a probability of kept / 2**31.
    # x is seen as (A, B, C, D, E) = (..., shared_outer, middle, shared_inner, inner); elements along B and D share their numbers:
    # n = (a * C + c) * E + e. Where all four are 1, n = i.
    "dropout": "x (N,) f, control (8,) i8 -> out~ (N,) f; "
    "seed i, call i, kept i, scale d, shared_outer i, middle i, shared_inner i, inner i, accumulate i",
}

# Every loss writes one value a row, loss[m] = mean or sum over the row's classes (unweighted), and, where asked,
# the gradient of scale * sum(weight[m] * loss[m]). Labels outside [0, C) count as a loss and gradient of 0 when they equal
# `ignore_class`; the layer above refuses any other.
_LABELS, _TARGET = "labels (M,) i4", "target (M, C) f"


def _loss(pred: str, truth: str, attributes: str) -> str:
    return f"{pred} (M, C) f, {truth}, weight? (M,) f, scale? (1,) f -> loss (M,) f, d{pred}?~ (M, C) f; {attributes}"


_LOSSES = {
    # scale = factor * (1 | 1/rows that count | 1/sum of their weights): REDUCTION_*; 0 where the divisor is 0.
    # A row counts unless its label is ignore_class.
    "loss_scale": "weight? (M,) f, labels? (M,) i4 -> scale (1,) f; rows i, reduction i, factor d, ignore_class i",
    # from logits, exact
    "softmax_cross_entropy": _loss("logits", _LABELS, "ignore_class i, accumulate i"),
    "softmax_cross_entropy_dense": _loss("logits", _TARGET, "label_smoothing d, accumulate i"),
    "sigmoid_cross_entropy": _loss("logits", _TARGET, "label_smoothing d, accumulate i"),
    # from probabilities, which are clipped to [1e-7, 1 - 1e-7]
    "sparse_categorical_cross_entropy": _loss("pred", _LABELS, "ignore_class i, accumulate i"),
    "categorical_cross_entropy": _loss("pred", _TARGET, "label_smoothing d, accumulate i"),
    "binary_cross_entropy": _loss("pred", _TARGET, "label_smoothing d, accumulate i"),
    "mean_squared_error": _loss("pred", _TARGET, "accumulate i"),
    "mean_absolute_error": _loss("pred", _TARGET, "accumulate i"),
}

_METRICS = {
    # value[m] = mean over the classes of (pred > threshold) == target
    "binary_accuracy": "pred (M, C) f, target (M, C) f -> value (M,) f; threshold d",
    # value[m] = argmax(pred[m]) == argmax(target[m])
    "categorical_accuracy": "pred (M, C) f, target (M, C) f -> value (M,) f",
    "sparse_categorical_accuracy": "pred (M, C) f, labels (M,) i4 -> value (M,) f",
}

# Sums run in float64 over m in order, on one worker: the same bits for any number of workers.
_TOTALS = {
    # total += (sum of weight * value, sum of weight); without weights every weight is 1
    "accumulate_mean": "value (M,) f, weight? (M,) f -> total+ (2,) f8",
    # batch = scale * sum(weight * value); total += (batch * rows, rows); a non-finite batch sets control[STATUS]
    "accumulate_loss": "value (M,) f, weight? (M,) f, scale (1,) f -> total+ (2,) f8, control+ (8,) i8; rows i",
}

# Flat updates of one contiguous run of P parameters. Symbols as in the papers; Keras 3's formulas.
_UPDATES = {
    # control[ITERATIONS] += 1, then fills rates: see LEARNING_RATE, ADAM_RATE
    "next_update": "learning_rate (S,) f8 -> control+ (8,) i8, rates (4,) f8; beta_1 d, beta_2 d",
    # velocity = momentum * velocity - lr * g;  w += velocity  (nesterov: w += momentum * velocity - lr * g)
    # without velocity: w -= lr * g
    "sgd": "grads (P,) f, rates (4,) f8 -> params+ (P,) f, velocity?+ (P,) f; momentum d, nesterov i",
    # accumulator += g**2;  w -= lr * g / sqrt(accumulator + epsilon)
    "adagrad": "grads (P,) f, rates (4,) f8 -> params+ (P,) f, accumulator+ (P,) f; epsilon d",
    # v = rho * v + (1 - rho) * g**2;  centered: a = rho * a + (1 - rho) * g;  step = lr * g / sqrt(v [- a**2] + epsilon)
    # with momentum: u = momentum * u + step;  w -= u
    "rmsprop": "grads (P,) f, rates (4,) f8 -> params+ (P,) f, velocity+ (P,) f, momentums?+ (P,) f, average_gradient?+ (P,) f; "
    "rho d, momentum d, epsilon d",
    # m += (1 - beta_1) * (g - m);  v += (1 - beta_2) * (g**2 - v);  amsgrad: v_hat = max(v_hat, v)
    # w -= rates[ADAM_RATE] * m / (sqrt(v or v_hat) + epsilon)
    "adam": "grads (P,) f, rates (4,) f8 -> params+ (P,) f, m+ (P,) f, v+ (P,) f, v_hat?+ (P,) f; beta_1 d, beta_2 d, epsilon d",
}

_SERIAL = {"shuffle", "next_batch", "next_update", "loss_scale", *_TOTALS}

INSTRUCTIONS: dict[str, Instruction] = {
    name: parse(name, contract, parallel=name not in _SERIAL, may_stop=name == "accumulate_loss")
    for group in (_BATCH, _LAYERS, _LOSSES, _METRICS, _TOTALS, _UPDATES)
    for name, contract in group.items()
}
"""The instruction set, by name."""

PRODUCTS = ("matmul", "matmul_bfloat16")
"""The products of matrices."""
