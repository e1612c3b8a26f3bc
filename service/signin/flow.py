"""The one path to a session: a first factor, what is still missing, the session.

A way to sign in ends in a `Proof`, or in the event SIGN_IN_REFUSED and an error.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from service.accounts.account import Account
from service.audit.entry import Entry, Event
from service.audit.trail import AuditTrail
from service.errors import SessionRevoked, SessionStoreUnavailable
from service.sessions.record import Client, NewSession, Record
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
    NO_SESSION_STORE = "no_session_store"  # there is a proof, and nowhere to keep a session


class SignIn:
    """Turns the proof of a first factor into a session."""

    def __init__(self, sessions: SessionStore, audit: AuditTrail) -> None:
        self._sessions = sessions
        self._audit = audit

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
            record = self._start(session, new, kept)
        except SessionRevoked:
            self._audit.record(refusal(Reason.OVERTAKEN, client, account.id))
            raise
        except SessionStoreUnavailable:
            self._audit.record(refusal(Reason.NO_SESSION_STORE, client, account.id))
            raise
        self._audit.record(
            Entry(Event.SIGNED_IN, account.id, client, record.id.digest, {"methods": methods})
        )

    def _start(self, session: Session, new: NewSession, kept: Collection[str]) -> Record:
        old = session.record
        held = session.encoded() if session.owner is None else {}
        carried = {key: value for key, value in held.items() if key in kept}
        record = self._sessions.create(new, carried, replaces=old.id if old else None)
        if old and old.id.locator != new.locator:  # in another slot of a cluster: a step of its own
            self._sessions.revoke(old.id.locator, old.id.digest)
        session.replace_record(record)
        return record


def refusal(reason: Reason, client: Client, account_id: int | None) -> Entry:
    """The entry that says why a sign-in is refused."""
    return Entry(Event.SIGN_IN_REFUSED, account_id, client, particulars={"reason": reason.value})
