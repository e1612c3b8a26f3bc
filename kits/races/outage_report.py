"""The report of an outage of Redis: what the clients got, and what they lost."""

from __future__ import annotations

from collections import Counter

from kits.report import TIMES, Report, table
from kits.verdict import Verdict
from tests.session_clients import SLOWEST, Outcome

RECOVERY = 3.0  # seconds from Redis's return to the last 503
SHOWN = 20


def report(outcome: Outcome, recovered: float, survived: bool, note: str) -> Report:
    """Judge an outage.

    Args:
        outcome: what the clients saw.
        recovered: seconds from Redis's return to the last 503.
        survived: whether the same workers run as before.
        note: about the outage itself.
    """
    written = Report("Redis outage")
    rows = [[*request, str(count)] for request, count in _by_request(outcome).items()]
    acknowledged = f"Acknowledged: {_listed(outcome.acknowledged)}."
    lost = f"Lost: {_listed(outcome.lost) or 'nothing'}."
    responses = table(("request", "status", "responses"), rows)
    written.section("Responses", note, responses, acknowledged, lost)
    violations = "; ".join(outcome.violations[:SHOWN])
    target = f"success or 503, each within {SLOWEST} s; no cookie deleted, nothing lost"
    measured = violations or f"as expected; the slowest took {outcome.slowest:.2f} s"
    written.judge(
        [
            Verdict("responses", target, measured, not outcome.violations),
            Verdict(
                "recovery",
                f"last 503 ≤ {RECOVERY:.0f} s after Redis's return",
                f"{recovered:+.2f} s",
                recovered <= RECOVERY,
            ),
            Verdict("workers", "none restarts", "none did" if survived else "some did", survived),
        ]
    )
    return written


def _by_request(outcome: Outcome) -> dict[tuple[str, str], int]:
    return {
        (request, str(status)): count for (request, status), count in sorted(outcome.counts.items())
    }


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {TIMES} {what}" for what, count in counts.items())
