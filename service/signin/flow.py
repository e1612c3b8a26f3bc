"""The one path to a session: a first factor, what is still missing, the session.

A way to sign in ends in a `Proof`, or in the event SIGN_IN_REFUSED and an error.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from service.accounts.account import Account
from service.errors import SessionRevoked
from service.events import Event, emit
from service.sessions.record import Client, NewSession
from service.sessions.session import Session
from service.sessions.store import SessionStore


@dataclass(frozen=True)
class Proof:
    """The client has shown that it owns an account."""

    account: Account
    method: str  # the first factor


class Reason(StrEnum):
    """Why a sign-in is refused. Only the operator learns it; the client must not."""

    NO_SUCH_ACCOUNT = "no_such_account"  # or the account is disabled or deleted
    WRONG_PASSWORD = "wrong_password"  # noqa: S105
    OVERTAKEN = "overtaken"  # a revocation of the account's sessions was faster


class SignIn:
    """Turns the proof of a first factor into a session."""

    def __init__(self, sessions: SessionStore) -> None:
        self._sessions = sessions

    def proceed(
        self,
        proof: Proof,
        session: Session,
        client: Client,
        remember: bool,
        kept: Collection[str] = (),
    ) -> None:
        """Sign in: the browser gets a new session of the account, under a new id.

        Args:
            session: the session of the request, which ends.
            client: where the request comes from.
            remember: whether the new session outlives the browser.
            kept: the keys of `flask.session` that the new session takes over from an anonymous one.
                Somebody else may have filled that one and planted its cookie, so nothing else is
                kept.

        Raises:
            SessionRevoked: the account's sessions have been revoked since the account was read.
            SessionStoreUnavailable: Redis does not answer; nobody is signed in.
        """
        account, methods = proof.account, (proof.method,)
        # Anything else that is required, such as a second factor, belongs here.
        new = NewSession(
            owner=account.owner,
            locator=account.locator,
            epoch=account.session_epoch,
            methods=methods,
            remember=remember,
            client=client,
        )
        try:
            self._start(session, new, kept)
        except SessionRevoked:
            emit(Event.SIGN_IN_REFUSED, account.id, reason=Reason.OVERTAKEN)
            raise
        emit(Event.SIGNED_IN, account.id, methods=methods)

    def _start(self, session: Session, new: NewSession, kept: Collection[str]) -> None:
        old = session.record
        held = session.encoded() if session.owner is None else {}
        carried = {key: value for key, value in held.items() if key in kept}
        record = self._sessions.create(new, carried, replaces=old.id if old else None)
        if old and old.id.locator != new.locator:  # in another slot of a cluster: a step of its own
            self._sessions.revoke(old.id.locator, old.id.digest)
        session.replace_record(record)
