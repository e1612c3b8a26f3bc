"""The report that every kit writes, in Markdown. It needs no installed library."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from kits.verdict import Verdict

TIMES = "\N{MULTIPLICATION SIGN}"


class Report:
    """Sections of text and tables, and the verdicts at the end."""

    def __init__(self, title: str) -> None:
        self.verdicts: list[Verdict] = []
        self._parts = [f"# {title}"]

    def section(self, title: str, *parts: str) -> None:
        """Add a section made of paragraphs and tables."""
        self._parts += [f"## {title}", *parts]

    def judge(self, verdicts: Iterable[Verdict]) -> None:
        """Add verdicts, all of which the table at the end shows."""
        self.verdicts += verdicts

    @property
    def passed(self) -> bool:
        """Whether no verdict is a failure."""
        return all(verdict.passed for verdict in self.verdicts)

    def __str__(self) -> str:
        parts = list(self._parts)
        if self.verdicts:
            rows = [(v.subject, v.target, v.measured, v.word) for v in self.verdicts]
            parts += ["## Verdicts", table(("subject", "target", "measured", "verdict"), rows)]
        return "\n\n".join(parts) + "\n"

    def publish(self, path: Path) -> None:
        """Print the report, and write it to `path`."""
        path.write_text(str(self), encoding="utf-8")
        print(f"\n{self}\nWritten to {path}", flush=True)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *([_one_line(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def responses(statuses: Counter[int]) -> str:
    """How many responses had each status; 0 stands for a lost request."""
    named = ((count, str(status or "lost")) for status, count in sorted(statuses.items()))
    return ", ".join(f"{count} {TIMES} {status}" for count, status in named)


def number(value: float) -> str:
    """Three significant digits, without an exponent."""
    if not math.isfinite(value) or value == 0 or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"
