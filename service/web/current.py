"""The user of the current request: who it is, signing in, signing out."""

from __future__ import annotations

from typing import cast

from flask import current_app, request
from flask import session as flask_session

from service.errors import NotSignedIn
from service.sessions.record import Client, Owner, SignedIn
from service.sessions.session import Session
from service.signin.flow import Proof
from service.throttling.counters import by_network
from service.throttling.table import Limited
from service.web import known_device
from service.web.services import services

CHARGED = "coatcheck.charged"  # in the environ if the event loop has charged the request


def session() -> Session:
    """`flask.session` with its real type."""
    return cast(Session, flask_session)


def owner() -> Owner | None:
    """Who is signed in, or None."""
    return session().owner


def signed_in() -> SignedIn:
    """Who is signed in, and with which session.

    Raises:
        NotSignedIn: nobody is signed in.
    """
    record = session().record
    if record is None or record.metadata.owner is None:
        raise NotSignedIn
    return SignedIn(record.metadata.owner, record)


def client() -> Client:
    """Where the request comes from."""
    return Client(request.remote_addr or "", request.user_agent.string)


def charge(limit: Limited) -> None:
    """Charge the request to a limit of its network, unless the event loop has. Without Redis, the
    request goes on.

    Raises:
        TooManyRequests: the limit is used up.
    """
    if CHARGED not in request.environ:
        services().throttle.charge_if_possible([by_network(limit, client().address)])


def sign_in(proof: Proof, remember: bool) -> None:
    """Give the browser a session of the account, and remember it as a device of its owner. Raises
    what `SignIn.proceed` raises."""
    kept = frozenset(current_app.config["SESSION_KEYS_KEPT_AT_SIGN_IN"])
    services().sign_in.proceed(proof, session(), client(), remember, kept)
    known_device.remember(proof.account)


def forget() -> None:
    """Delete the browser's cookie, because its session has ended."""
    session().replace_record(None)


def sign_out() -> None:
    """End the session, if there is one, and delete its cookie.

    Raises:
        SessionStoreUnavailable: Redis does not answer; the session may still exist.
    """
    if record := session().record:
        services().revocation.sign_out(record, client())
    forget()


def revoke(handle: str) -> None:
    """End one of the user's sessions, which may be this one.

    Raises:
        NotSignedIn: nobody is signed in.
        NoSuchSession: the user has no session with that handle.
        SessionStoreUnavailable: Redis does not answer; the session may still exist.
    """
    user = signed_in()
    services().revocation.revoke_one(user, handle, client())
    if user.record.has_handle(handle):
        forget()
