"""The Builder's books: who writes a gradient first, what is pruned, fused, overlaid and separated by barriers."""

import numpy as np
import pytest

from fastnn.lowering import operations
from fastnn.lowering.builder import CONTROL, Builder
from fastnn.lowering.heads import row_loss
from fastnn.program import BATCH
from fastnn.variables import Variable, place_in_arena


def build(*shapes: tuple[int, ...], kind: str = "gradients", trainable: tuple[bool, ...] = ()) -> tuple[Builder, list[Variable]]:
    flags = trainable or (True,) * len(shapes)
    variables = [Variable(np.zeros(shape), trainable=flag) for shape, flag in zip(shapes, flags, strict=True)]
    place_in_arena(variables)
    builder = Builder(kind, "float32", variables)
    builder.emit("next_batch", early=True, control=CONTROL, batch=BATCH)
    return builder, variables


def mean_squared_error(builder: Builder, output, target_shape=None):
    target = builder.input("y", target_shape or output.shape)
    values = row_loss(builder, "mean_squared_error", output, target, gradient=True)
    builder.emit("accumulate_mean", value=values.vector, total=builder.total("loss"))
    builder.backward()


def names(program) -> list[str]:
    return [row.op for row in program.rows]


def test_a_shared_weight_writes_its_gradient_once_then_accumulates():
    builder, (kernel,) = build((3, 3))
    x = builder.input("x", (3,))
    out = operations.dense(builder, operations.dense(builder, x, kernel), kernel)
    mean_squared_error(builder, out)
    into = [row for row in builder.finish().rows if row.op == "matmul" and row.operands[-1].segment == "grads"]
    assert [row.attribute("accumulate") for row in into] == [0, 1]


def test_fan_out_writes_the_first_gradient_and_adds_the_second():
    builder, (first, left, right) = build((3, 4), (4, 2), (4, 2))
    hidden = operations.dense(builder, builder.input("x", (3,)), first)
    for kernel, name in ((left, "y"), (right, "z")):
        out = operations.dense(builder, hidden, kernel)
        values = row_loss(builder, "mean_squared_error", out, builder.input(name, (2,)), gradient=True)
        builder.emit("accumulate_mean", value=values.vector, total=builder.total(name))
    builder.backward()
    into = [row for row in builder.finish().rows if row.op == "matmul" and row.attribute("transpose_b")]
    assert [row.attribute("accumulate") for row in into] == [0, 1]


def test_nothing_flows_below_the_first_trained_weight():
    builder, (frozen, kernel) = build((3, 4), (4, 2), trainable=(False, True))
    mean_squared_error(builder, operations.dense(builder, operations.dense(builder, builder.input("x", (3,)), frozen), kernel))
    program = builder.finish()
    assert program.weights[0].grad is None
    assert [row.operands[-1].segment for row in program.rows if row.op == "matmul"] == ["activations", "activations", "grads"]


def test_weights_no_gradient_reaches_are_named():
    _, (used, unused) = build((3, 2), (5, 5))
    unused.path = "lonely/kernel"
    builder = Builder("gradients", "float32", [used, unused])
    mean_squared_error(builder, operations.dense(builder, builder.input("x", (3,)), used))
    assert builder.unreached() == ["lonely/kernel"]


@pytest.mark.parametrize("name", ["relu", "sigmoid", "tanh"])
def test_a_matmul_takes_over_the_activation_that_alone_reads_it(name):
    builder, (kernel,) = build((3, 2), kind="predict")
    out = getattr(operations, name)(builder, operations.dense(builder, builder.input("x", (3,)), kernel))
    builder.output("out", out)
    assert names(builder.finish()) == ["next_batch", "take_rows", "matmul", "put_rows"]


def test_a_clipped_relu_and_a_result_with_two_readers_stay_apart():
    builder, (kernel,) = build((3, 2), kind="predict")
    result = operations.dense(builder, builder.input("x", (3,)), kernel)
    builder.output("clipped", operations.relu(builder, result, max_value=6.0))
    builder.output("curved", operations.tanh(builder, result))
    assert names(builder.finish())[2:5] == ["matmul", "relu", "put_rows"]


def test_rows_nobody_reads_are_pruned_with_their_inputs():
    builder, (kernel,) = build((3, 2), kind="predict")
    x = builder.input("x", (3,))
    operations.softmax(builder, operations.dense(builder, builder.input("unused", (3,)), kernel))
    builder.output("out", x)
    program = builder.finish()
    assert names(program) == ["next_batch", "take_rows", "put_rows"]
    assert [slot.name for slot in program.inputs] == ["x", "index", "out"]


def test_buffers_alive_together_never_overlap():
    builder, kernels = build(*[(8, 8)] * 6)
    out = builder.input("x", (8,))
    for kernel in kernels:
        out = operations.relu(builder, operations.dense(builder, out, kernel), max_value=3.0)
    mean_squared_error(builder, out)
    program = builder.finish()
    last_writer: dict[tuple[int, int], int] = {}
    for number, row in enumerate(program.rows):
        touched = [(o.offset, o.offset + program.operand_bytes(o)) for _, o, _, _ in row.accesses() if o.segment == "activations"]
        for i, (start, end) in enumerate(touched):
            for other_start, other_end in touched[i + 1 :]:
                assert end <= other_start or other_end <= start or (start, end) == (other_start, other_end), number
        last_writer.update(dict.fromkeys(touched, number))
    assert program.bytes["activations"] < sum(end - start for start, end in last_writer) * 6


def test_workers_meet_before_a_row_that_reads_what_others_wrote_and_not_otherwise():
    builder, (kernel,) = build((3, 2), kind="predict")
    builder.output("out", operations.softmax(builder, operations.dense(builder, builder.input("x", (3,)), kernel)))
    assert [row.barrier for row in builder.finish().rows] == [True, True, True, True, True]
    builder, (left, right) = build((3, 2), (3, 2), kind="predict")
    x = builder.input("x", (3,))
    for name, out in [("left", operations.dense(builder, x, left)), ("right", operations.dense(builder, x, right))]:
        builder.output(name, out)
    barriers = [(row.op, row.barrier) for row in builder.finish().rows]
    assert barriers[2:] == [("matmul", True), ("matmul", False), ("put_rows", True), ("put_rows", False)]


def test_a_frozen_weight_between_two_trained_ones_splits_the_update():
    builder, _ = build((4, 4), (4, 4), (4, 4), (4, 4), trainable=(True, True, False, True))
    assert [(run.weight, run.offset, run.size) for run in builder.layout.runs] == [(0, 0, 32), (3, 128, 16)]


def test_an_operand_the_contract_does_not_know_is_refused():
    builder, _ = build((2, 2))
    with pytest.raises(TypeError, match="has no \\['colour'\\]"):
        builder.emit("sigmoid", colour=1)
