"""The race of sessions: revoked is revoked, no write is lost, an outage is not a logout."""

from __future__ import annotations

from kits.races.sessions import final_checks
from kits.races.sessions.checker import RULES
from kits.races.sessions.client import SessionClient
from kits.races.sessions.evidence import LOSING
from kits.races.sessions.faults import ALONE, FAULTS
from kits.races.sessions.load import SessionLoad
from kits.races.workload import Workload

SESSIONS = Workload(
    name="sessions",
    title="Sessions",
    requests=20_000,
    fault_count=60,
    client=SessionClient,
    load=SessionLoad,
    faults=FAULTS,
    rules=RULES,
    conclude=final_checks.conclude,
    details=final_checks.losses,
    name_pattern="[A-Za-z0-9_-]{{12}}",
    alone=ALONE,
    first=frozenset(LOSING),
    # Past the default limit, a login would end the oldest session.
    environ={"COATCHECK_SESSIONS_PER_ACCOUNT": "1000"},
)
