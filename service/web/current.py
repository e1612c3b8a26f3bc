"""Sign-in state: who it is, signing in, signing out."""

from __future__ import annotations

from typing import cast

from flask import request
from flask import session as flask_session

from service.accounts.account import Account
from service.errors import NotSignedIn
from service.sessions.record import Owner, Record
from service.sessions.session import Session
from service.web.services import services


def session() -> Session:
    """`flask.session`, as the type that it is."""
    return cast(Session, flask_session)


def owner() -> Owner | None:
    """Who is signed in, or None."""
    return session().owner


def signed_in() -> tuple[Owner, Record]:
    """Who is signed in, and with which session.

    Raises:
        NotSignedIn: nobody is.
    """
    record = session().record
    if record is None or record.metadata.owner is None:
        raise NotSignedIn
    return record.metadata.owner, record


def sign_in(account: Account, remember: bool) -> None:
    """Give the browser a new session of `account`.

    Raises:
        SessionRevoked: the account's sessions were revoked since it was read.
        SessionStoreUnavailable: Redis does not answer.
    """
    services().session_interface.start(
        session(),
        request,
        account.owner,
        account.locator,
        account.session_epoch,
        remember,
    )


def continue_as(record: Record) -> None:
    """Go on with the session under the new id that it was given."""
    session().replace_record(record)


def forget() -> None:
    """Have the browser forget the id of a session that has ended."""
    session().replace_record(None)


def sign_out() -> None:
    """End the session, if there is one, and have the browser forget its id.

    Raises:
        SessionStoreUnavailable: Redis does not answer; the session may live on.
    """
    services().session_interface.end(session())
