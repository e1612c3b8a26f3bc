"""The checker of sessions: what must be true of every history, whatever broke meanwhile.

Rules are pure functions, as for registrations. If a fault destroys Redis's data (the end of its
log, or everything), whatever Redis forgets is no violation; `lost` counts it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

from kits.races.sessions import data_rules, lifetime_rules, response_rules
from kits.races.sessions.evidence import Evidence
from kits.races.violation import Violation

Rule = Callable[[Evidence], Iterator[Violation]]

RULES: tuple[Rule, ...] = (
    lifetime_rules.ended_is_ended,
    lifetime_rules.gone_stays_gone,
    lifetime_rules.nobody_is_signed_out,
    lifetime_rules.old_password_is_refused,
    lifetime_rules.password_changes_once,
    lifetime_rules.devices_are_true,
    data_rules.writes_are_kept,
    data_rules.data_belong_to_the_session,
    data_rules.account_belongs_to_the_session,
    response_rules.status_is_documented,
    response_rules.outage_is_no_logout,
    response_rules.every_request_is_answered,
    response_rules.redis_paused_is_in_time,
    response_rules.reading_needs_no_postgres,
)


def check(evidence: Evidence) -> list[Violation]:
    """Every violation of every rule."""
    return [violation for rule in RULES for violation in rule(evidence)]


def lost(evidence: Evidence) -> Counter[str]:
    """How many violations of each rule are excused because a fault destroyed Redis's data."""
    strict = Counter(each.rule for each in check(replace(evidence, excuse_losses=False)))
    return strict - Counter(each.rule for each in check(evidence))
