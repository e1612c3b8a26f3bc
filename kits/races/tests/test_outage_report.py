"""An outage is judged by what its clients saw."""

from __future__ import annotations

from collections import Counter

import pytest

from kits.races.outage_report import RECOVERY, report
from tests.session_clients import Outcome

GOOD = Outcome(Counter({("GET /", 200): 5}), 0.1, Counter({"write": 5}), Counter(), [])
BAD = Outcome(Counter({("GET /", 500): 5}), 0.1, Counter(), Counter(), ["GET /: 500"])


def test_an_outage_that_nobody_suffers_from_passes() -> None:
    assert report(GOOD, recovered=0.5, survived=True, note="Short.").passed


@pytest.mark.parametrize(
    ("outcome", "recovered", "survived"),
    [(BAD, 0.5, True), (GOOD, RECOVERY + 0.1, True), (GOOD, 0.5, False)],
    ids=["violation", "late recovery", "a worker restarted"],
)
def test_anything_else_fails(outcome: Outcome, recovered: float, survived: bool) -> None:
    assert not report(outcome, recovered, survived, "Short.").passed
