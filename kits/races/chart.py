"""The history as a chart: responses over time, with the faults marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kits.races.history import History, Operation

COLOURS = {
    "201": "#2e7d32",
    "204": "#81c784",
    "303": "#00897b",
    "401": "#8d6e63",
    "403": "#ab47bc",
    "404": "#4dd0e1",
    "409": "#90a4ae",
    "200": "#cfd8dc",
    "503": "#f9a825",
    "none": "#c62828",
    "other": "#6a1b9a",
}


def draw(history: History, title: str, path: Path) -> None:
    """Write a PNG to `path`."""
    load = [op for op in history.operations if op.phase == "load"]
    length = int(max(op.completed for op in load) - history.started) + 1
    figure = Figure(figsize=(max(10, length / 7), 6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    below = [0] * length
    for status, counts in _by_second(load, history.started, length).items():
        if not any(counts):
            continue
        colour = COLOURS[status]
        axes.bar(range(length), counts, 1, below, color=colour, label=status, align="edge")
        below = [low + count for low, count in zip(below, counts, strict=True)]
    _mark_faults(history, axes)
    axes.set(xlabel="seconds", ylabel="responses per second", xlim=(0, length))
    axes.set_ylim(0, max(below) * 1.5)  # room for the names of the faults
    axes.set_title(f"{title} under faults: responses by status, faults in blue")
    figure.legend(loc="outside lower center", ncols=len(COLOURS))
    figure.savefig(path)


def _mark_faults(history: History, axes: Axes) -> None:
    top = axes.get_xaxis_transform()
    for fault in history.faults:
        start, end = fault.started - history.started, fault.ended - history.started
        axes.axvspan(start, end, color="#1565c0", alpha=0.12, linewidth=0)
        axes.text(start, 0.99, fault.kind, rotation=90, fontsize=6, va="top", transform=top)


def _by_second(load: Sequence[Operation], started: float, length: int) -> dict[str, list[int]]:
    counts: Counter[tuple[str, int]] = Counter()
    for op in load:
        status = str(op.status or "none")
        counts[status if status in COLOURS else "other", int(op.completed - started)] += 1
    return {status: [counts[status, second] for second in range(length)] for status in COLOURS}
