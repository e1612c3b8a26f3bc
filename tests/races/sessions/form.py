"""The race of sessions: revoked is revoked, no write is lost, an outage is not a logout."""

from __future__ import annotations

from tests.races.form import Form
from tests.races.sessions import verdict
from tests.races.sessions.checker import RULES
from tests.races.sessions.client import SessionClient
from tests.races.sessions.evidence import LOSING
from tests.races.sessions.faults import ALONE, FAULTS
from tests.races.sessions.load import SessionLoad

SESSIONS = Form(
    name="sessions",
    title="Sessions",
    requests=20_000,
    fault_count=60,
    client=SessionClient,
    load=SessionLoad,
    faults=FAULTS,
    rules=RULES,
    reach=verdict.reach,
    more=verdict.losses,
    steps_of="[A-Za-z0-9_-]{{12}}",
    alone=ALONE,
    first=frozenset(LOSING),
    environ={"COATCHECK_SESSIONS_PER_ACCOUNT": "1000"},  # or the oldest would end unasked
)
