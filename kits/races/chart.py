"""The history as a picture: answers over time, faults marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kits.races.history import Exchange, History

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
    "no answer": "#c62828",
    "other": "#6a1b9a",
}


def draw(history: History, title: str, path: Path) -> None:
    """Write a PNG to `path`."""
    load = [op for op in history.operations if op.phase == "load"]
    length = int(max(op.completed for op in load) - history.started) + 1
    figure = Figure(figsize=(max(10, length / 7), 6), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    below = [0] * length
    for said, counts in _by_second(load, history.started, length).items():
        if not any(counts):
            continue
        axes.bar(range(length), counts, 1, below, color=COLOURS[said], label=said, align="edge")
        below = [low + count for low, count in zip(below, counts, strict=True)]
    _mark(history, axes)
    axes.set(xlabel="seconds", ylabel="answers per second", xlim=(0, length))
    axes.set_ylim(0, max(below) * 1.5)  # room for the names of the faults
    axes.set_title(f"{title} under faults: answers, and when what was broken (blue)")
    figure.legend(loc="outside lower center", ncols=len(COLOURS))
    figure.savefig(path)


def _mark(history: History, axes: Axes) -> None:
    """Mark the faults."""
    top = axes.get_xaxis_transform()
    for fault in history.faults:
        start, end = fault.started - history.started, fault.ended - history.started
        axes.axvspan(start, end, color="#1565c0", alpha=0.12, linewidth=0)
        axes.text(start, 0.99, fault.kind, rotation=90, fontsize=6, va="top", transform=top)


def _by_second(load: Sequence[Exchange], started: float, length: int) -> dict[str, list[int]]:
    counts: Counter[tuple[str, int]] = Counter()
    for op in load:
        said = str(op.status or "no answer")
        counts[said if said in COLOURS else "other", int(op.completed - started)] += 1
    return {said: [counts[said, second] for second in range(length)] for said in COLOURS}
