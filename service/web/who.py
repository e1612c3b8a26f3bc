"""What `/auth/verify` and `/api/v1/sessions/current` say, in Flask and on the event loop."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote

from service.errors import NotSignedIn, SessionStoreUnavailable
from service.sessions.record import Record
from service.web.answers import PRIVATE, Answer, json_answer
from service.web.problems import problem_of
from service.web.shapes import signed_in_json

VERIFY, CURRENT = "/auth/verify", "/api/v1/sessions/current"

NOT_SIGNED_IN = problem_of(NotSignedIn()).answer(*PRIVATE)


def verify_answer(record: Record | None) -> Answer:
    """For a proxy: the account in headers, or 401. No body."""
    if record is None or record.metadata.owner is None:
        return Answer(401, PRIVATE)
    owner = record.metadata.owner
    headers = (
        ("X-Auth-Account-Id", str(owner.account_id)),
        ("X-Auth-Username", _percent_encoded(owner.username)),
        ("X-Auth-Session", record.id.digest),
    )
    return Answer(200, headers + PRIVATE)


def current_session_answer(record: Record | None) -> Answer:
    """For a client of the API: account and session, or a problem document."""
    if record is None or record.metadata.owner is None:
        return NOT_SIGNED_IN
    return json_answer(200, signed_in_json(record.metadata.owner, record), *PRIVATE)


def unavailable_answer(path: str, error: SessionStoreUnavailable) -> Answer:
    """503: the session store is down, so nobody can tell."""
    problem = problem_of(error)
    if path == CURRENT:
        return problem.answer(*PRIVATE)
    return Answer(problem.status, (*problem.headers, *PRIVATE))


@lru_cache(maxsize=4096)
def _percent_encoded(username: str) -> str:
    return quote(username, safe="")
