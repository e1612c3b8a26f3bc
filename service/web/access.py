"""What the views of an application use: who is signed in, signing in and out, protected views."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

from flask import current_app, redirect, request, url_for
from werkzeug.local import LocalProxy
from werkzeug.wrappers import Response

from service.accounts import usernames
from service.errors import CoatcheckError, NoSuchAccount, NotSignedIn, StepUpRequired
from service.sessions.interface import SessionInterface
from service.sessions.record import Owner
from service.signin.flow import Proof
from service.web import current
from service.web.error_handlers import answer, wants_page
from service.web.services import services

SIGN_IN_PAGE = "coatcheck.sign_in.form"
METHOD = "application"  # of a sign-in for which the application vouches

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

# The account that is signed in, with `account_id`, `username` and `created_at` (Unix seconds), or
# what is false if nobody is. Reading it raises SessionStoreUnavailable if Redis does not answer.
current_account = cast("Owner", LocalProxy(current.owner))


def sign_in(username: str, remember: bool = False) -> None:
    """Sign in somebody whose identity the application has verified by itself, just now.

    The browser gets a new session under a new id; of what an anonymous one held, it keeps only the
    keys in SESSION_KEYS_KEPT_AT_SIGN_IN.

    Args:
        username: of the account.
        remember: whether the session outlives the browser.

    Raises:
        NoSuchAccount: no account has that name, or it is disabled.
        InvalidInput: no account can have that name.
        SessionRevoked: all sessions of the account were revoked at the same moment.
        SessionStoreUnavailable, DatabaseUnavailable: a store does not answer; nobody is signed in.
    """
    found = services().accounts.credentials(usernames.parse(username))
    if found is None:
        raise NoSuchAccount
    current.sign_in(Proof(found.account, METHOD), remember)


def sign_out() -> None:
    """End the session, whoever it belongs to, and delete its cookie.

    Raises:
        SessionStoreUnavailable: Redis does not answer; the session may still exist.
    """
    current.sign_out()


def regenerate() -> None:
    """Give the session a new id, as is wise when its user gains rights (OWASP Session Management
    Cheat Sheet). What it holds stays; the old id is invalid.

    Raises:
        SessionStoreUnavailable: Redis does not answer.
    """
    cast(SessionInterface, current_app.session_interface).regenerate(current.session())


def require_sign_in(view: Callable[Arguments, Result]) -> Callable[Arguments, Result | Response]:
    """Protect a view. People who are not signed in go to the sign-in page and come back; everybody
    else gets 401."""
    return _protected(view, current.signed_in)


def require_recent_sign_in(
    view: Callable[Arguments, Result],
) -> Callable[Arguments, Result | Response]:
    """Protect a view that does something dangerous: its user must have given a proof within
    COATCHECK_FRESH_PROOF. Others go to the sign-in page and come back, or get 403."""
    return _protected(view, lambda: services().fresh_proof.require(current.signed_in().record))


def _protected(
    view: Callable[Arguments, Result], check: Callable[[], object]
) -> Callable[Arguments, Result | Response]:
    @wraps(view)
    def protected(*args: Arguments.args, **named: Arguments.kwargs) -> Result | Response:
        try:
            check()
        except (NotSignedIn, StepUpRequired) as error:
            return first_sign_in(error)
        return cast(Result, current_app.ensure_sync(view)(*args, **named))

    return protected


def first_sign_in(error: CoatcheckError) -> Response:
    """Send people to the sign-in page, and back afterwards, if there is one. A form that they
    submit is rejected."""
    if request.method not in ("GET", "HEAD") or not wants_page():
        return answer(error)
    if SIGN_IN_PAGE not in current_app.view_functions:
        return answer(error)
    return redirect(url_for(SIGN_IN_PAGE, next=request.full_path.rstrip("?")), 303)
