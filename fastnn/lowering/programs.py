"""Programs: a model's graph, its heads and its optimizer, lowered for training, testing or predicting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from fastnn_kernels.instructions import INSTRUCTIONS
from fastnn_kernels.warn import warn

from fastnn.lowering.builder import CONTROL, FORWARD, RATES_OPERAND, Builder
from fastnn.lowering.heads import Head, lower_head
from fastnn.program import BATCH, SAMPLES, Operand, Program
from fastnn.variables import Run, Variable

if TYPE_CHECKING:
    from fastnn.graph import Graph
    from fastnn.optimizers.base import Optimizer


def lower(
    graph: Graph,
    kind: str,
    *,
    dtype: str,
    variables: Sequence[Variable],
    heads: Sequence[Head] = (),
    optimizer: Optimizer | None = None,
    weighted: bool = False,
) -> Program:
    """Lower a model to one Program.

    Parameters
    ----------
    graph : Graph
        The model's nodes in topological order.
    kind : str
        ``"train"``: forward, loss, metrics, backward, update. ``"gradients"``: the same without the update. ``"test"``: forward,
        loss, metrics. ``"predict"``: forward, then each output is written to the caller's array ``out{k}``. ``"call"``: the same
        with the dropout of training.
    dtype : str
        ``"float32"`` or ``"float64"``.
    variables : sequence of Variable
        The model's weights in order; an arena holds them.
    heads : sequence of Head
        One per output; unused by ``"predict"`` and ``"call"``.
    optimizer : Optimizer, optional
        Built for ``variables``; needed by ``"train"``.
    weighted : bool
        Whether every loss row has a sample weight (inputs ``w{k}``).

    Returns
    -------
    Program
        Verified.
    """
    b = Builder(kind, dtype, variables)
    if kind == "train":
        index, state = b.slot("index", (), "i8", (SAMPLES,), "i8"), b.slot("shuffle_state", (), "i8", (1,), "i8")
        b.emit("shuffle", early=True, control=CONTROL, index=index, state=state)
    b.emit("next_batch", early=True, control=CONTROL, batch=BATCH)
    shapes = [cast("tuple[int, ...]", x.shape[1:]) for x in graph.inputs]
    outputs = graph.lower(b, [b.input(f"x{number}", shape) for number, shape in enumerate(shapes)])
    if kind in FORWARD:
        for number, output in enumerate(outputs):
            b.output(f"out{number}", output)
        return b.finish()
    for number, (head, output) in enumerate(zip(heads, outputs, strict=True)):
        lower_head(b, number, head, output, weighted)
    if b.training:
        b.backward()
        _warn_of_unreached(b)
    if kind != "train":
        return b.finish()
    assert optimizer is not None
    _update(b, optimizer)
    slots = tuple((name, place * b.layout.bytes, start) for place, (name, start) in enumerate(optimizer.state))
    return b.finish(slots)


def _warn_of_unreached(b: Builder) -> None:
    if paths := b.unreached():
        warn(
            f"no gradient reaches {', '.join(paths)}: no loss depends on them, so training leaves them as they are; "
            "give their output a loss, or set trainable = False"
        )


def _update(b: Builder, optimizer: Optimizer) -> None:
    """One row that counts the update and sets its rates, then one row per run of weights."""
    beta_1, beta_2 = optimizer.betas
    learning_rate = b.slot("learning_rate", (), "f8", (SAMPLES,), "f8")
    b.emit("next_update", learning_rate=learning_rate, control=CONTROL, rates=RATES_OPERAND, beta_1=beta_1, beta_2=beta_2)
    instruction = INSTRUCTIONS[optimizer.op]
    names = [name for name, _ in instruction.attributes]
    attributes: dict[str, Any] = dict(zip(names, optimizer.attributes(), strict=True))
    for run in b.layout.runs:
        b.emit(optimizer.op, **_run_operands(b, optimizer, run), **attributes)


def _run_operands(b: Builder, optimizer: Optimizer, run: Run) -> dict[str, Any]:
    """Operands of one update row: the run's gradients, weights and state vectors."""
    operands: dict[str, Any] = {
        "grads": Operand("grads", run.offset, (run.size,), "f"),
        "rates": RATES_OPERAND,
        "params": Operand("params", run.weight, (run.size,), "f"),
    }
    for place, (name, _) in enumerate(optimizer.state):
        operands[name] = Operand("slots", place * b.layout.bytes + run.offset, (run.size,), "f")
    return operands
