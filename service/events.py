"""What happens to accounts. Only this module counts and logs it."""

from __future__ import annotations

from enum import StrEnum

import structlog

from service import metrics

log = structlog.get_logger()


class Event(StrEnum):
    """What can happen to an account."""

    REGISTERED = "registered"
    SIGNED_IN = "signed_in"
    SIGN_IN_REFUSED = "sign_in_refused"
    SIGNED_OUT = "signed_out"
    SESSION_REVOKED = "session_revoked"
    OTHERS_REVOKED = "other_sessions_revoked"
    ALL_REVOKED = "all_sessions_revoked"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105
    DISABLED = "account_disabled"
    ENABLED = "account_enabled"
    DELETED = "account_deleted"


def emit(event: Event, account_id: int | None, **particulars: object) -> None:
    """Count and log what has just happened.

    Args:
        account_id: the account to which it happened; None if it is unknown.
        particulars: what else the log says: nothing that a client typed, and no id or digest of a
            session.
    """
    metrics.ACCOUNT_EVENTS.labels(event).inc()
    log.info(event, account_id=account_id, **particulars)
