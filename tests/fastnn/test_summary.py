"""The summary's table, as Keras 3.15.1 prints it."""

import io
import sys
import textwrap

import pytest

from fastnn import Input, Model, Sequential
from fastnn.layers import Dense


def summary(model, **arguments):
    lines = []
    model.summary(print_fn=lines.append, **arguments)
    (text,) = lines
    return text


def small(name="small"):
    return Sequential([Input((3,)), Dense(4, name="hidden"), Dense(2, name="out")], name=name)


def table(text):
    return textwrap.dedent(text).lstrip("\n")


def test_a_sequential_model():
    assert summary(small(), line_length=60) == table("""
        Model: "small"
        ┏━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┓
        ┃ Layer (type)             ┃ Output Shape      ┃   Param # ┃
        ┡━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━┩
        │ hidden (Dense)           │ (None, 4)         │        16 │
        ├──────────────────────────┼───────────────────┼───────────┤
        │ out (Dense)              │ (None, 2)         │        10 │
        └──────────────────────────┴───────────────────┴───────────┘
         Total params: 26 (104.00 B)
         Trainable params: 26 (104.00 B)
         Non-trainable params: 0 (0.00 B)
    """)


def test_a_narrow_table_wraps_at_spaces_and_titles_stand_at_the_bottom():
    assert summary(small(), line_length=40) == table("""
        Model: "small"
        ┏━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━┓
        ┃                 ┃ Output     ┃ Param ┃
        ┃ Layer (type)    ┃ Shape      ┃     # ┃
        ┡━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━┩
        │ hidden (Dense)  │ (None, 4)  │    16 │
        ├─────────────────┼────────────┼───────┤
        │ out (Dense)     │ (None, 2)  │    10 │
        └─────────────────┴────────────┴───────┘
         Total params: 26 (104.00 B)
         Trainable params: 26 (104.00 B)
         Non-trainable params: 0 (0.00 B)
    """)


def test_what_is_trained_and_the_optimizers_part():
    model = small()
    model.layers[0].trainable = False
    model.compile("adam", "mse", device="reference")
    model.optimizer.build(model.weights)
    assert summary(model, line_length=70, show_trainable=True) == table("""
        Model: "small"
        ┏━━━━━━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━┳━━━━━━┓
        ┃ Layer (type)              ┃ Output Shape        ┃   Param # ┃ Tra… ┃
        ┡━━━━━━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━╇━━━━━━┩
        │ hidden (Dense)            │ (None, 4)           │        16 │  N   │
        ├───────────────────────────┼─────────────────────┼───────────┼──────┤
        │ out (Dense)               │ (None, 2)           │        10 │  Y   │
        └───────────────────────────┴─────────────────────┴───────────┴──────┘
         Total params: 48 (192.00 B)
         Trainable params: 10 (40.00 B)
         Non-trainable params: 16 (64.00 B)
         Optimizer params: 22 (88.00 B)
    """)


def test_a_graph_says_what_is_connected_to_what():
    x = Input((3,), name="x")
    shared = Dense(3, name="shared")
    first = shared(x)
    model = Model(x, [first, shared(first), small("inner")(first)], name="graph")
    assert summary(model, line_length=78, expand_nested=True) == table("""
        Model: "graph"
        ┏━━━━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━┳━━━━━━━━━━━━┳━━━━━━━━━━━━━━━━━━━━┓
        ┃ Layer (type)         ┃ Output Shape      ┃    Param # ┃ Connected to       ┃
        ┡━━━━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━╇━━━━━━━━━━━━╇━━━━━━━━━━━━━━━━━━━━┩
        │ x (InputLayer)       │ (None, 3)         │          0 │ -                  │
        ├──────────────────────┼───────────────────┼────────────┼────────────────────┤
        │ shared (Dense)       │ (None, 3)         │         12 │ x[0][0],           │
        │                      │                   │            │ shared[0][0]       │
        ├──────────────────────┼───────────────────┼────────────┼────────────────────┤
        │ inner (Sequential)   │ (None, 2)         │         26 │ shared[0][0]       │
        ├──────────────────────┼───────────────────┼────────────┼────────────────────┤
        │    └ hidden (Dense)  │ (None, 4)         │         16 │ -                  │
        ├──────────────────────┼───────────────────┼────────────┼────────────────────┤
        │    └ out (Dense)     │ (None, 2)         │         10 │ -                  │
        └──────────────────────┴───────────────────┴────────────┴────────────────────┘
         Total params: 38 (152.00 B)
         Trainable params: 38 (152.00 B)
         Non-trainable params: 0 (0.00 B)
    """)


def test_a_functional_chain_lists_its_input_and_an_unbuilt_model_question_marks():
    x = Input((3,), name="x")
    chain = summary(Model(x, Dense(1, name="d")(x)))
    assert "x (InputLayer)" in chain
    assert "Connected to" not in chain
    unbuilt = summary(Sequential([Dense(4, name="late")]))
    assert "late (Dense)" in unbuilt
    assert "│ ?" in unbuilt
    assert "0 (unbuilt)" in unbuilt


def test_long_names_are_cut():
    model = Sequential([Input((3,)), Dense(1, name="n" * 60)])
    assert "│ nnnnnnnnnnnnnnnnnnnnnnn… │" in summary(model, line_length=60)


@pytest.mark.parametrize(
    ("layer_range", "listed"),
    [(("hidden", "hidden"), ["hidden"]), (("out", "hidden"), ["hidden", "out"]), (("h.*", "o"), ["hidden", "out"])],
)
def test_a_range_of_layers(layer_range, listed):
    text = summary(small(), layer_range=layer_range)
    assert [name for name in ("hidden", "out") if f"{name} (Dense)" in text] == listed


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"line_length": 10}, "line_length=10 is too narrow"),
        ({"positions": [0.5, 1.0]}, "`positions` must have 3 numbers"),
        ({"layer_range": ("no", "such")}, "no layer matches 'no' or 'such'"),
    ],
)
def test_wrong_arguments_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        small().summary(**arguments)


def test_by_default_it_is_printed(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "64")
    small().summary()
    assert capsys.readouterr().out == summary(small(), line_length=60)


@pytest.mark.parametrize(("encoding", "corner"), [("ascii", "+"), ("cp1252", "+"), ("utf-8", "┏")])
def test_where_boxes_cannot_be_encoded_they_are_ascii(monkeypatch, encoding, corner):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    small().summary()
    stream.flush()
    lines = stream.buffer.getvalue().decode(encoding).splitlines()
    assert lines[1].startswith(corner)
    assert len(lines[1]) == len(lines[4])


@pytest.mark.parametrize(("units", "size"), [(256, "4.00 KB"), (300_000, "4.58 MB")])
def test_sizes_have_units(units, size):
    model = Sequential([Input((3,)), Dense(units)])
    assert f"Total params: {4 * units:,} ({size})" in summary(model)
