"""What all charts share: their frame, and a colour and a marker for each library; needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from benchmarks.results import OURS, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = {
    "fastnn": "#0072b2",
    "plain C": "#000000",
    "numpy": "#009e73",
    "numba": "#44aa99",
    "jax": "#d55e00",
    "torch": "#cc79a7",
    "keras": "#5d3a9b",
    "sklearn": "#e69f00",
    "trees": "#882255",
    "onnxruntime": "#56b4e9",
    "mkl": "#8c8c8c",
}
"""By group of peers: the palettes of Okabe and Ito (2008) and of Tol (2021), which the colour-blind tell apart."""

MARKERS = dict(zip(COLORS, "oPsXD^vhd<>", strict=True))
"""By group of peers: lines differ by more than their colour."""

GREY, PALE = "#666666", "#e4e4e4"


def new_figure(width: float, height: float, title: str, results: Results) -> Figure:
    from matplotlib.figure import Figure

    drawn = Figure(figsize=(width, height), layout="constrained")
    foot = 0.24 / height  # inches kept for the line at the bottom
    layout: Any = drawn.get_layout_engine()
    layout.set(w_pad=0.12, h_pad=0.1, rect=(0, foot, 1, 1 - foot))
    drawn.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    machine = results.machine
    about = f"{machine.get('gpu') or machine['name'] + ', ' + str(machine['cores']) + ' cores'}, {results.date}"
    drawn.text(0.99, 0.06 / height, about, ha="right", va="bottom", fontsize=7.5, color=GREY)
    return drawn


def plain(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=GREY, labelsize=8, length=3, which="major")
    axes.set_axisbelow(True)


def color(results: Results, peer: str) -> str:
    """The colour of a peer's library."""
    return COLORS.get(results.peers[peer]["group"], "#999999")


def styles(results: Results, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Colour and marker by library, the line by the way of using it; fastnn above all."""
    seen: dict[str, int] = {}
    found = {}
    for name in names:
        group = results.peers[name]["group"]
        variant = seen[group] = seen.get(group, -1) + 1
        found[name] = {
            "color": color(results, name),
            "linestyle": ("-", "--", ":", "-.")[variant % 4],
            "marker": MARKERS.get(group, "."),
            "markersize": 4,
            "linewidth": 2.4 if name == OURS else 1.5,
            "zorder": 3 if name == OURS else 2,
        }
    return found
