"""Learning curves as a picture; needs matplotlib (``pip install matplotlib``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

TRAIN, VALIDATION = "#1f5fa8", "#d9622b"
GREY = "#666666"


def learning_curves(history: Mapping[str, Sequence[float]], path: str | PathLike[str], *, title: str) -> None:
    """Write a picture with one panel for each quantity in ``history``: training, and validation where there is one.

    Parameters
    ----------
    history
        ``History.history``: one list of values an epoch, by name; ``val_`` marks validation.
    path
        The file to write: PNG, or what its ending says.
    title
        A line above the panels, from where the first one begins.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    from matplotlib.figure import Figure

    names = [name for name in history if not name.startswith("val_")]
    figure = Figure(figsize=(5.2 * len(names), 4.0), layout="constrained")
    heading = figure.suptitle(title, ha="left", fontsize=12)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _panel(axes, name, history[name], history.get(f"val_{name}"))
    figure.draw_without_rendering()  # lays the panels out
    heading.set_x(panels[0].get_position().x0)
    figure.savefig(path, dpi=150)


def _panel(axes: Any, name: str, train: Sequence[float], validation: Sequence[float] | None) -> None:
    rising = train[-1] > train[0]
    curves = [("training", train, TRAIN)] + ([("validation", validation, VALIDATION)] if validation else [])
    for label, values, color in curves:
        marker = "o" if len(values) == 1 else ""  # a line needs two points
        axes.plot(range(1, len(values) + 1), values, color=color, linewidth=1.8, marker=marker, label=label, clip_on=False)
    axes.set_title(name.replace("_", " "), loc="left", fontsize=11)
    axes.set_xlabel("epoch", color=GREY)
    axes.set_xlim(1, max(len(train), 2))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=GREY, length=3)
    if min(min(values) for _, values, _ in curves) >= 0 and not rising:
        axes.set_ylim(bottom=0)
    if rising and max(max(values) for _, values, _ in curves) <= 1:
        axes.set_ylim(top=1.0)
    axes.legend(frameon=False, loc="lower right" if rising else "upper right")
