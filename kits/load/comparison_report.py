"""The comparison of strategies as a report and as a chart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kits.load.comparison import Result
from kits.load.deployment import STRATEGIES
from kits.report import Report, number, responses, table

LEAST_SHOWN = 0.01
COLOURS = ("#8c8c8c", "#d08c60", "#7a9cc6", "#2a7f62")
PANELS: tuple[tuple[str, Callable[[Result], float]], ...] = (
    ("decided requests/s", lambda result: result.rate),
    ("p99, ms", lambda result: result.p99),
    ("Postgres statements\nper request", lambda result: result.cost.statements / result.requests),
    ("hashes\nper request", lambda result: result.cost.hashes / result.requests),
)
COLUMNS = (
    "strategy", "requests/s", "p50 ms", "p99 ms", "responses", "SELECTs", "INSERTs",
    "transactions", "hashes", "Redis commands", "dead tuples", "load's share of the CPU",
)  # fmt: skip
NOTE = "Requests/s are those answered with 201 or 409, medians; counts are totals over all rounds."


def report(results: Sequence[Result]) -> Report:
    """A price for each strategy and scenario, then the details of each scenario."""
    written = Report("Strategies to register a name")
    words = "Statements to Postgres and hashes, per request."
    written.section("Which strategy, at what price", words, _overview(results))
    written.section("By load", NOTE)
    for scenario, group in groupby(results, key=lambda result: result.scenario):
        written.section(scenario.title, table(COLUMNS, map(_row, group)))
    return written


def draw(results: Sequence[Result], path: Path) -> None:
    """Draw a row for each quantity, a column for each scenario, and a bar for each strategy."""
    by_scenario = [
        (scenario, list(group))
        for scenario, group in groupby(results, key=lambda result: result.scenario)
    ]
    size = (3 * len(by_scenario), 2.4 * len(PANELS))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(PANELS), len(by_scenario), squeeze=False)
    for (label, value), row in zip(PANELS, grid, strict=True):
        row[0].set_ylabel(label)
        for axes, (_, group) in zip(row, by_scenario, strict=True):
            _bars(axes, [value(result) for result in group])
    for axes, (scenario, _) in zip(grid[0], by_scenario, strict=True):
        axes.set_title(scenario.title.replace(": ", ":\n"), fontsize=9)
    bars = [Rectangle((0, 0), 1, 1, color=colour) for colour in COLOURS]
    titles = [strategy.title for strategy in STRATEGIES]
    figure.legend(bars, titles, loc="outside lower center", ncols=len(STRATEGIES))
    figure.savefig(path, dpi=120)


def _bars(axes: Axes, values: Sequence[float]) -> None:
    bars = axes.bar(range(len(values)), values, color=COLOURS)
    axes.bar_label(bars, [_label(value) for value in values], fontsize=8)
    axes.set_xticks([])
    axes.margins(y=0.2)
    axes.spines[["top", "right"]].set_visible(False)


def _label(value: float) -> str:
    return number(value) if value == 0 or value >= LEAST_SHOWN else f"< {LEAST_SHOWN}"


def _row(result: Result) -> list[str]:
    cost, rates = result.cost, (result.rate, result.p50, result.p99)
    counts = (cost.selects, cost.inserts, cost.transactions, cost.hashes, cost.commands)
    return [
        result.strategy.title,
        *map(number, rates),
        responses(result.statuses),
        *map(str, counts),
        str(result.dead),
        f"{result.share:.0%}",
    ]


def _overview(results: Sequence[Result]) -> str:
    keys = list(dict.fromkeys(result.scenario.key for result in results))
    found = {(result.strategy, result.scenario.key): result for result in results}
    rows = [
        [strategy.title, *(_price(found[strategy, key]) for key in keys), strategy.suited_to]
        for strategy in STRATEGIES
    ]
    return table(["strategy", *keys, "suited to"], rows)


def _price(result: Result) -> str:
    cost = result.cost
    statements = number(cost.statements / result.requests)
    return f"{statements} / {number(cost.hashes / result.requests)}"
