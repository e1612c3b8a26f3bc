"""The thousand attempts of `python -m kits.races.revocation`, once."""

from __future__ import annotations

from kits.races.revocation import application, verdicts
from tests.guarantees.overtaken import ENDINGS, VIEWS


def test_every_attempt_gets_a_verdict() -> None:
    with application() as (app, redis):
        found = list(verdicts(app, redis, attempts=1))
    assert len(found) == len(ENDINGS) * len(VIEWS) + 2
    assert [verdict for verdict in found if not verdict.passed] == []
