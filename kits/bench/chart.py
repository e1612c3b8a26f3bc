"""A section as a chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kits.bench.measurement import Result
from kits.bench.section import COLUMNS, Section, cell

PANELS = ("rate", "p50", "p99", "workers", "redis", "commands")
ACROSS = 3  # panels in a row
COLOUR, DOTS = "#9cc9b5", "#2a7f62"


def draw(section: Section, path: Path) -> None:
    """Draw a panel for each quantity: a bar for the median, a dot for each round."""
    results = list(reversed(section.results))  # bars are drawn from the bottom
    rows = len(PANELS) // ACROSS
    size = (4 * ACROSS, rows * (0.8 + 0.3 * len(results)))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, ACROSS, sharey=True)
    for axes, quantity in zip(grid.flat, PANELS, strict=True):
        _bars(axes, results, quantity)
    figure.suptitle(section.title)
    figure.savefig(path, dpi=110)


def _bars(axes: Axes, results: Sequence[Result], quantity: str) -> None:
    values = [getattr(result.median, quantity) for result in results]
    places = range(len(results))
    bars = axes.barh(places, values, color=COLOUR)
    axes.bar_label(bars, [cell(value) for value in values], padding=6, fontsize=8)
    for place, result in zip(places, results, strict=True):
        each = [getattr(sample, quantity) for sample in result.samples]
        axes.plot(each, [place] * len(each), ".", color=DOTS, markersize=4)
    axes.set_yticks(places, [result.title for result in results], fontsize=8)
    axes.set_title(COLUMNS[quantity], fontsize=9)
    axes.margins(x=0.2)
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=5)
    axes.spines[["top", "right"]].set_visible(False)
