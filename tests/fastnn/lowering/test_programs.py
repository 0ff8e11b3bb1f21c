"""Programs of whole models."""

import pytest

from fastnn import Input, Model
from fastnn.layers import Dense
from fastnn.losses import MeanSquaredError
from fastnn.lowering.heads import Head
from fastnn.lowering.programs import lower
from fastnn.variables import place_in_arena


def two_outputs() -> Model:
    x = Input((3,), name="x")
    return Model(x, [Dense(1, name="left")(x), Dense(1, name="right")(x)])


def program(model: Model, kind: str, heads: list[Head]):
    place_in_arena(model.weights)
    return lower(model.graph, kind, dtype="float32", variables=model.weights, heads=heads)


def test_weights_that_no_loss_depends_on_are_named():
    with pytest.warns(UserWarning, match="no gradient reaches right/kernel, right/bias: no loss depends on them"):
        program(two_outputs(), "gradients", [Head(MeanSquaredError()), Head(None)])


def test_a_head_with_neither_loss_nor_metric_asks_for_no_target():
    lowered = program(two_outputs(), "test", [Head(MeanSquaredError()), Head(None)])
    assert [slot.name for slot in lowered.inputs] == ["x0", "index", "y0_dense"]
    assert sum(row.op == "matmul" for row in lowered.rows) == 1


def test_a_loss_weight_scales_the_gradient_but_not_the_logged_loss():
    rows = program(two_outputs(), "gradients", [Head(MeanSquaredError()), Head(MeanSquaredError(), 0.5)]).rows
    assert [row.attribute("factor") for row in rows if row.op == "loss_scale"] == [1.0, 1.0, 0.5]
    scales = {row.attribute("factor"): row.operands[-1] for row in rows if row.op == "loss_scale"}
    logged = [row.operands[2] for row in rows if row.op == "accumulate_loss"]
    assert scales[0.5] not in logged
