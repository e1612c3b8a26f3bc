"""A comparison as Markdown, and as a picture."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from kits.command import Verdict
from kits.load.comparison import Result
from kits.load.testbed import WAYS

TIMES = "\N{MULTIPLICATION SIGN}"
COLOURS = ("#8c8c8c", "#d08c60", "#7a9cc6", "#2a7f62")
PANELS: tuple[tuple[str, Callable[[Result], float]], ...] = (
    ("decided requests/s", lambda result: result.rate),
    ("p99, ms", lambda result: result.p99),
    ("Postgres statements\nper request", lambda result: result.cost.statements / result.requests),
    ("hashes\nper request", lambda result: result.cost.hashes / result.requests),
)
COLUMNS = (
    "way", "requests/s", "p50 ms", "p99 ms", "answers", "SELECTs", "INSERTs", "transactions",
    "hashes", "Redis commands", "dead tuples", "load's share of the CPU",
)  # fmt: skip


def markdown(results: Sequence[Result]) -> str:
    """The table of the tutorial, then one table for each scenario."""
    parts = ["## Which way, at what price", "Statements to Postgres and hashes, per request."]
    parts += [_overview(results), "## By load"]
    parts += [
        "Requests/s are those answered 201 or 409, medians; counts are totals over all rounds."
    ]
    for scenario, group in groupby(results, key=lambda result: result.scenario):
        parts += [f"### {scenario.title}", table(COLUMNS, map(_row, group))]
    return "\n\n".join(parts) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def judged(verdicts: Iterable[Verdict]) -> str:
    """The target table."""
    rows = [(v.what, v.target, v.measured, "pass" if v.passed else "FAIL") for v in verdicts]
    return table(("what", "target", "measured", ""), rows)


def answers(statuses: Counter[int]) -> str:
    """How many there were of each."""
    named = ((count, str(status or "lost")) for status, count in sorted(statuses.items()))
    return ", ".join(f"{count} {TIMES} {status}" for count, status in named)


def number(value: float) -> str:
    """Three digits, without an exponent."""
    if not math.isfinite(value) or value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def draw(results: Sequence[Result], path: Path) -> None:
    """One row for each quantity, one column for each scenario, one bar for each way."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    by_scenario = [
        (scenario, list(group))
        for scenario, group in groupby(results, key=lambda result: result.scenario)
    ]
    size = (3 * len(by_scenario), 2.4 * len(PANELS))
    figure, grid = pyplot.subplots(
        len(PANELS), len(by_scenario), figsize=size, squeeze=False, layout="constrained"
    )
    for (label, value), row in zip(PANELS, grid, strict=True):
        row[0].set_ylabel(label)
        for axes, (_, group) in zip(row, by_scenario, strict=True):
            _bars(axes, [value(result) for result in group])
    for axes, (scenario, _) in zip(grid[0], by_scenario, strict=True):
        axes.set_title(scenario.title.replace(": ", ":\n"), fontsize=9)
    bars = [pyplot.Rectangle((0, 0), 1, 1, color=colour) for colour in COLOURS]
    figure.legend(bars, [way.title for way in WAYS], loc="outside lower center", ncols=len(WAYS))
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _bars(axes: object, values: Sequence[float]) -> None:
    bars = axes.bar(range(len(values)), values, color=COLOURS)
    axes.bar_label(bars, [number(value) for value in values], fontsize=8)
    axes.set_xticks([])
    axes.margins(y=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def _row(result: Result) -> list[str]:
    cost, rates = result.cost, (result.rate, result.p50, result.p99)
    counts = (cost.selects, cost.inserts, cost.transactions, cost.hashes, cost.commands)
    return [
        result.way.title,
        *map(number, rates),
        answers(result.statuses),
        *map(str, counts),
        str(result.dead),
        f"{result.share:.0%}",
    ]


def _overview(results: Sequence[Result]) -> str:
    keys = list(dict.fromkeys(result.scenario.key for result in results))
    found = {(result.way, result.scenario.key): result for result in results}

    def price(result: Result) -> str:
        cost = result.cost
        return f"{number(cost.statements / result.requests)} / " + number(
            cost.hashes / result.requests
        )

    rows = [[way.title, *(price(found[way, key]) for key in keys), way.suited_to] for way in WAYS]
    return table(["way", *keys, "suited to"], rows)
