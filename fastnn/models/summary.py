"""The table that ``model.summary()`` prints; its look is Keras's."""

from __future__ import annotations

import re
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fastnn.layers.base import Layer
from fastnn.layers.weights import count_params
from fastnn.variables import Variable

if TYPE_CHECKING:
    from fastnn.models.model import Model

_TO_ASCII = str.maketrans("━┃┏┳┓┡╇┩│─├┼┤└┴┘…", "=|++++++|-++++++.")


@dataclass(frozen=True)
class _Column:
    title: str
    align: str
    width: int


def print_summary(
    model: Model,
    line_length: int | None = None,
    positions: Sequence[float] | None = None,
    print_fn: Callable[[str], Any] | None = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Sequence[str] | None = None,
) -> None:
    """See `Model.summary`."""
    connected = model.graph is not None and not model.graph.is_chain()
    columns = _columns(connected, show_trainable, line_length, positions)
    rows = [
        row
        for layer in _in_range(model.layers, layer_range)
        for row in _rows(layer, model, connected, show_trainable, expand_nested, 0)
    ]
    text = "\n".join([f'Model: "{model.name}"', *_table(columns, rows), *_totals(model)])
    if print_fn is not None:
        print_fn(text + "\n")
    else:
        print(_encodable(text))


def _columns(connected: bool, trainable: bool, length: int | None, positions: Sequence[float] | None) -> list[_Column]:
    """The columns, each as wide as its share of the line less its border and its margins."""
    titles = ["Layer (type)", "Output Shape", "Param #"]
    ends = list(positions or ((0.3, 0.56, 0.74, 1.0) if connected else (0.45, 0.80, 1.0)))
    width = 108 if connected else 88
    if connected:
        titles.append("Connected to")
    if trainable:
        titles.append("Trainable")
        ends, width = [end * 0.9 for end in ends] + [1.0], width + 12
    if len(ends) != len(titles):
        raise ValueError(f"`positions` must have {len(titles)} numbers, one a column, got {list(positions or ())}")
    if not isinstance(length, int | None):
        raise TypeError(f"line_length must be an integer, got {length!r}")
    length = length or min(width, shutil.get_terminal_size().columns - 4)
    edges = [0, *(int(end * length) for end in ends)]
    widths = [after - before - 3 for before, after in pairwise(edges)]
    widths[-2] -= 1  # the border at the right end
    if min(widths) < 1:
        raise ValueError(f"line_length={length} is too narrow for the {len(titles)} columns of a summary")
    aligns = {"Param #": ">", "Trainable": "^"}
    return [_Column(title, aligns.get(title, "<"), size) for title, size in zip(titles, widths, strict=True)]


def _rows(layer: Layer, model: Model, connected: bool, trainable: bool, expand: bool, level: int) -> list[list[str]]:
    """The cells of one layer's line and, with ``expand``, of those inside it."""
    prefix = "   " * level + "└ " if level else ""
    cells = [f"{prefix}{layer.name} ({_class_name(layer)})", _output_shape(layer)]
    cells.append(f"{layer.count_params():,}" if layer.built else "0 (unbuilt)")
    if connected:
        cells.append(_connections(layer, model))
    if trainable:
        cells.append(("Y" if layer.trainable else "N") if layer.weights else "-")
    inner = getattr(layer, "layers", []) if expand else []
    return [cells, *(row for part in inner for row in _rows(part, model, connected, trainable, expand, level + 1))]


def _class_name(layer: Layer) -> str:
    from fastnn.models.model import Model

    return "Functional" if type(layer) is Model else type(layer).__name__


def _output_shape(layer: Layer) -> str:
    if layer._inbound_nodes:
        shapes = [str(tensor.shape) for tensor in layer._inbound_nodes[-1].outputs]
    elif getattr(layer, "graph", None) is not None:
        shapes = [str(tensor.shape) for tensor in layer.graph.outputs]  # type: ignore[attr-defined]
    else:
        return "?"
    return shapes[0] if len(shapes) == 1 else f"[{', '.join(shapes)}]"


def _connections(layer: Layer, model: Model) -> str:
    """Where the layer's inputs come from: name, number of the call, number of its output."""
    members = set(model.graph.nodes) if model.graph is not None else set()
    sources = (tensor for node in layer._inbound_nodes if node in members for tensor in node.inputs)
    names = (
        tensor.name
        if tensor.node is None
        else f"{tensor.node.layer.name}[{tensor.node.layer._inbound_nodes.index(tensor.node)}][{tensor.index}]"
        for tensor in sources
    )
    return ", ".join(names) or "-"


def _in_range(layers: list[Layer], layer_range: Sequence[str] | None) -> list[Layer]:
    if layer_range is None:
        return layers
    first, last = layer_range
    starts = [place for place, layer in enumerate(layers) if re.match(first, layer.name)]
    ends = [place for place, layer in enumerate(layers) if re.match(last, layer.name)]
    if not starts or not ends:
        raise ValueError(f"no layer matches {first!r} or {last!r}; the layers are {[layer.name for layer in layers]}")
    return layers[min(starts[0], ends[-1]) : max(starts[0], ends[-1]) + 1]


def _table(columns: Sequence[_Column], rows: Iterable[Sequence[str]]) -> list[str]:
    """The box: a heavy one around the titles, light lines between the rows."""

    def rule(left: str, line: str, cross: str, right: str) -> str:
        return left + cross.join(line * (column.width + 2) for column in columns) + right

    lines = [rule("┏", "━", "┳", "┓"), *_line(columns, [column.title for column in columns], "┃", top=False)]
    lines.append(rule("┡", "━", "╇", "┩"))
    for number, row in enumerate(rows):
        if number:
            lines.append(rule("├", "─", "┼", "┤"))
        lines += _line(columns, row, "│")
    return [*lines, rule("└", "─", "┴", "┘")]


def _line(columns: Sequence[_Column], cells: Sequence[str], border: str, *, top: bool = True) -> list[str]:
    """One row, as many lines high as its longest cell."""
    wrapped = [_wrap(cell, column.width) for cell, column in zip(cells, columns, strict=True)]
    height = max(map(len, wrapped))
    padded = [cell + [""] * (height - len(cell)) if top else [""] * (height - len(cell)) + cell for cell in wrapped]
    lines = []
    for parts in zip(*padded, strict=True):
        aligned = (f"{part:{column.align}{column.width}}" for part, column in zip(parts, columns, strict=True))
        lines.append(border + border.join(f" {part} " for part in aligned) + border)
    return lines


def _wrap(text: str, width: int) -> list[str]:
    """``text`` broken at spaces; words that do not fit are cut off."""
    indent = text[: len(text) - len(text.lstrip())]
    lines = textwrap.wrap(text.strip(), max(width - len(indent), 1), break_long_words=False, break_on_hyphens=False) or [""]
    lines[0] = indent + lines[0]
    return [line if len(line) <= width else line[: width - 1] + "…" for line in lines]


def _totals(model: Model) -> list[str]:
    trainable, frozen = model.trainable_weights, model.non_trainable_weights
    optimizer = getattr(model, "optimizer", None)
    state = optimizer.variables if optimizer is not None and optimizer.built else []
    lines = [
        _count("Total params", [*trainable, *frozen, *state]),
        _count("Trainable params", trainable),
        _count("Non-trainable params", frozen),
    ]
    return [*lines, _count("Optimizer params", state)] if state else lines


def _count(title: str, variables: Sequence[Variable]) -> str:
    size = float(sum(variable.memory.nbytes for variable in variables))
    for unit in ("B", "KB", "MB", "GB", "TB", "PB"):
        if size < 1024 or unit == "PB":
            break
        size /= 1024
    return f" {title}: {count_params(variables):,} ({size:.2f} {unit})"


def _encodable(text: str) -> str:
    """``text`` in ASCII if standard output cannot encode the lines of the box."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return text.translate(_TO_ASCII).encode("ascii", "replace").decode()
    return text
