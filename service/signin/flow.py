"""The one path to a session: a first factor, what is still missing, the session.

A way to sign in ends in a `Proof`, or in `note_refusal` and an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from flask import Request

from service.accounts.account import Account
from service.errors import SessionRevoked
from service.events import Event, emit
from service.sessions.record import NewSession
from service.sessions.session import Session
from service.sessions.store import SessionStore


@dataclass(frozen=True)
class Proof:
    """That whoever sends the request owns an account."""

    account: Account
    method: str  # by which they have shown it: the first factor


class Reason(StrEnum):
    """Why a sign-in was refused. For the operator: the client must not learn it."""

    NO_SUCH_ACCOUNT = "no_such_account"  # or it is disabled or deleted, which costs a query to tell
    WRONG_PASSWORD = "wrong_password"  # noqa: S105
    OVERTAKEN = "overtaken"  # the account's sessions were revoked meanwhile


def note_refusal(reason: Reason, account_id: int | None = None) -> None:
    """Note that a sign-in is refused."""
    emit(Event.SIGN_IN_REFUSED, account_id, reason=reason)


class SignIn:
    """Turns the proof of a first factor into a session."""

    def __init__(self, sessions: SessionStore) -> None:
        self._sessions = sessions

    def proceed(self, proof: Proof, session: Session, request: Request, remember: bool) -> None:
        """Sign in: the browser gets a new session of the account, under a new id.

        Args:
            session: of the request. What it holds goes over into the new one if it was anonymous;
                its id is dead.
            request: says where it comes from.
            remember: whether the new session outlives the browser.

        Raises:
            SessionRevoked: the account's sessions were revoked since the account was read.
            SessionStoreUnavailable: Redis does not answer; nobody is signed in.
        """
        account, methods = proof.account, (proof.method,)
        # What is still missing, such as a second factor, is asked for here, before any session.
        new = NewSession(
            owner=account.owner,
            locator=account.locator,
            epoch=account.session_epoch,
            methods=methods,
            remember=remember,
            address=request.remote_addr or "",
            user_agent=request.user_agent.string,
        )
        try:
            self._start(session, new)
        except SessionRevoked:
            note_refusal(Reason.OVERTAKEN, account.id)
            raise
        emit(Event.SIGNED_IN, account.id, methods=methods)

    def _start(self, session: Session, new: NewSession) -> None:
        old = session.record
        carried = session.encoded() if session.owner is None else {}
        record = self._sessions.create(new, carried, old.id if old else None)
        if old and old.id.locator != new.locator:  # in another slot of a cluster: a step of its own
            self._sessions.revoke(old.id.locator, old.id.digest)
        session.replace_record(record)
