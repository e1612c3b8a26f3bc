"""The checker of sessions: what must be true of every history, whatever broke meanwhile.

Pure functions, as for names. What Redis forgot because its data were destroyed (the last second of
its log, or all of them) is no violation; `lost` counts it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.races.evidence import Violation
from tests.races.sessions import answers, contents, endings
from tests.races.sessions.evidence import Evidence

Rule = Callable[[Evidence], Iterator[Violation]]

RULES: tuple[Rule, ...] = (
    endings.ended_is_ended,
    endings.gone_stays_gone,
    endings.nobody_is_signed_out,
    endings.old_password_is_refused,
    endings.password_changes_once,
    endings.devices_are_true,
    contents.writes_are_kept,
    contents.data_are_ones_own,
    contents.account_is_ones_own,
    answers.answer_is_foreseen,
    answers.outage_is_no_logout,
    answers.every_request_is_answered,
    answers.redis_paused_is_in_time,
    answers.reading_needs_no_postgres,
)


def check(evidence: Evidence) -> list[Violation]:
    """Every violation of every rule."""
    return [violation for rule in RULES for violation in rule(evidence)]


def lost(evidence: Evidence) -> Counter[str]:
    """How often a rule would have been broken but for what Redis was made to forget."""
    strict = Counter(each.rule for each in check(replace(evidence, excuse_losses=False)))
    return strict - Counter(each.rule for each in check(evidence))
