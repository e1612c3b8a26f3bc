"""What can happen to an account, and an entry of the audit trail that says it did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

import structlog
from psycopg.types.json import Jsonb

from service import metrics
from service.sessions.record import MAX_ADDRESS, MAX_USER_AGENT, NOWHERE, Client

log = structlog.get_logger()

COMMAND_LINE: Final = Client("", "command line")  # an operator
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"


class Event(StrEnum):
    """What can happen to an account."""

    REGISTERED = "registered"
    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    SESSION_REVOKED = "session_revoked"
    OTHERS_REVOKED = "other_sessions_revoked"
    ALL_REVOKED = "all_sessions_revoked"
    PASSWORD_REFUSED = "password_refused"  # noqa: S105 (by someone signed in, or who repeats a registration)
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    DISABLED = "account_disabled"
    ENABLED = "account_enabled"
    UNLOCKED = "account_unlocked"
    DELETED = "account_deleted"


@dataclass(frozen=True)
class Entry:
    """An event, and what the trail says about it.

    `session` is the digest of the session that it is about: the one that began, ended or asked.
    `particulars` are also logged, so they contain nothing that a client typed, and no id or digest
    of a session. Without `at`, it happens when Postgres writes it.
    """

    event: Event
    account_id: int | None = None
    client: Client = NOWHERE
    session: str | None = None
    particulars: Mapping[str, object] = field(default_factory=dict)
    at: datetime | None = None

    def of(self, account_id: int) -> Self:
        """The same for an account."""
        return replace(self, account_id=account_id)

    @property
    def columns(self) -> dict[str, object]:
        """What the table stores, by column."""
        return {
            "at": self.at,
            "account_id": self.account_id,
            "event": self.event.value,
            "particulars": Jsonb(dict(self.particulars)),
            "address": printable(self.client.address[:MAX_ADDRESS]),
            "device": printable(self.client.user_agent[:MAX_USER_AGENT]),
            "session": self.session,
        }


def emit(entry: Entry) -> None:
    """Count and log what has just happened, once its row is written or about to be."""
    metrics.ACCOUNT_EVENTS.labels(entry.event).inc()
    log.info(entry.event, account_id=entry.account_id, **entry.particulars)


def printable(text: str) -> str:
    """`text` without what a terminal or a page might obey: every character that is neither visible
    nor a space is replaced."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else REPLACEMENT for each in text)
