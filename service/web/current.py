"""The user of the current request: who it is, signing in, signing out."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from flask import current_app, request
from flask import session as flask_session

from service.accounts.account import Account
from service.errors import InvalidInput, NotSignedIn
from service.sessions.record import Client, Owner, Record, SignedIn
from service.sessions.session import Session
from service.signin.flow import Proof
from service.throttling.buckets import account_change, by_network
from service.throttling.table import Limited
from service.web import known_device, signals
from service.web.services import Services, services, session_services_of

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
    signals.send(signals.signed_in, proof.account.owner)


def forget() -> None:
    """Delete the browser's cookie, because its session has ended."""
    ended = owner()
    session().replace_record(None)
    if ended:
        signals.send(signals.signed_out, ended)


def sign_out() -> None:
    """End the session, if there is one, and delete its cookie.

    Raises:
        SessionStoreUnavailable: Redis does not answer; the session may still exist.
    """
    if record := session().record:
        _end(record)
    forget()


def end(record: Record) -> None:
    """End the session that a view has cleared. Raises what `sign_out` does."""
    _end(record)
    if record.metadata.owner:
        signals.send(signals.signed_out, record.metadata.owner)


def _end(record: Record) -> None:
    found = session_services_of(current_app)
    if isinstance(found, Services):
        found.revocation.sign_out(record, client())
    else:
        found.session_store.revoke(record.id.locator, record.id.digest)


def register(username: str, password: str, idempotency_key: str | None = None) -> Account:
    """Add an account. Raises what `Registration.register` raises."""
    account = services().registration.register(username, password, idempotency_key, client())
    signals.send(signals.registered, account.owner)
    return account


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


def about_to_change() -> SignedIn:
    """The user, who is about to change the account. Without Redis, nobody is limited.

    Raises:
        NotSignedIn: nobody is signed in.
        TooManyRequests: there were too many changes.
    """
    user = signed_in()
    change = account_change(user.owner.account_id, client().address)
    services().throttle.charge_if_possible([change])
    return user


def revoke_all() -> int:
    """End every session of the user. Returns their number. Raises what `revoke_others` does."""
    revoked = services().revocation.revoke_all(about_to_change(), client(), known_device.marks())
    forget()
    return revoked


def revoke_others() -> int:
    """End every session of the user except this one. Returns their number.

    Raises:
        NotSignedIn: nobody is signed in, or the account no longer exists.
        TooManyRequests: there were too many changes.
        RevocationPending: Redis does not answer; they end later.
    """
    user = about_to_change()
    return services().revocation.revoke_others(session(), user, client(), known_device.marks())


def change_password(present: str, new: str) -> None:
    """Change the user's password; every other session ends, and this one gets a new id.

    Args:
        present: the password so far, as typed.
        new: as typed.

    Raises:
        InvalidInput: of the field new_password.
        What `PasswordFactor.confirm` and `Revocation.change_password` raise.
    """
    user = about_to_change()
    try:
        checked = services().password_policy.check(new, user.owner.username)
    except InvalidInput as error:
        fields = (replace(each, field="new_password") for each in error.errors)
        raise InvalidInput(*fields) from None
    confirmed = services().password_factor.confirm(user, present, client())
    changed = services().revocation.change_password(session(), confirmed, checked, client())
    known_device.remember(changed)
    signals.send(signals.password_changed, changed.owner)


def delete_account(password: str | None) -> None:
    """Delete the user's account, and the browser's cookie.

    Args:
        password: as typed; None: the last proof must be fresh.

    Raises:
        What `PasswordFactor.confirm`, `FreshProof.require` and `Revocation.delete` raise.
    """
    user = about_to_change()
    if password is None:
        services().fresh_proof.require(user.record)
    else:
        services().password_factor.confirm(user, password, client())
    services().revocation.delete(user, client())
    forget()
    signals.send(signals.account_deleted, user.owner)
