"""A run as Markdown, and as a picture for each section."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kits.bench.section import Section
from kits.bench.workloads import Result
from kits.load.comparison_report import judged, number, table

COLUMNS = {
    "rate": "requests/s",
    "p50": "p50 ms",
    "p99": "p99 ms",
    "workers": "workers' CPU µs",
    "redis": "Redis' CPU µs",
    "postgres": "Postgres' CPU µs",
    "commands": "Redis commands",
    "share": "load's % of the machine",
    "others": "others' %",
}
PANELS = ("rate", "p50", "p99", "workers", "redis", "commands")
COLOUR, DOTS = "#9cc9b5", "#2a7f62"


def markdown(sections: Sequence[Section], effort: str) -> str:
    """Every section, and the target table."""
    parts = ["# Benchmark", f"{effort} CPU and commands are per request, numbers are medians."]
    for section in sections:
        parts += [f"## {section.title}", _table(section), *section.words]
    verdicts = [verdict for section in sections for verdict in section.verdicts]
    return "\n\n".join([*parts, "## Targets", judged(verdicts)]) + "\n"


def draw(section: Section, path: Path) -> None:
    """A panel for each quantity: a bar for the median, a dot for each round."""
    results = list(reversed(section.results))  # bars are drawn from the bottom
    figure = Figure(figsize=(4 * len(PANELS), 1.5 + 0.35 * len(results)), layout="constrained")
    grid = figure.subplots(1, len(PANELS), sharey=True)
    for axes, quantity in zip(grid, PANELS, strict=True):
        _bars(axes, results, quantity)
    figure.suptitle(section.title)
    figure.savefig(path, dpi=110)


def _bars(axes: Axes, results: Sequence[Result], quantity: str) -> None:
    values = [getattr(result.median, quantity) for result in results]
    places = range(len(results))
    bars = axes.barh(places, values, color=COLOUR)
    axes.bar_label(bars, [_cell(value) for value in values], label_type="center", fontsize=8)
    for place, result in zip(places, results, strict=True):
        each = [getattr(sample, quantity) for sample in result.samples]
        axes.plot(each, [place] * len(each), ".", color=DOTS, markersize=4)
    axes.set_yticks(places, [result.title for result in results], fontsize=8)
    axes.set_title(COLUMNS[quantity], fontsize=9)
    axes.margins(x=0.25)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)


def _table(section: Section) -> str:
    first = section.results[0].median
    rows = []
    for result in section.results:
        cells = [_cell(getattr(result.median, quantity)) for quantity in COLUMNS]
        rows.append([result.title, *cells, f"{result.median.rate / first.rate:.2f}"])
    return table(["", *COLUMNS.values(), f"times {section.results[0].title}"], rows)


def _cell(value: float) -> str:
    return "" if math.isnan(value) else number(value)
