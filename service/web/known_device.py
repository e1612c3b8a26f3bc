"""The marks in the browser's second cookie: `service.accounts.known_devices` says what they are
for."""

from __future__ import annotations

import structlog
from flask import Response, after_this_request, current_app, request

from service.accounts import known_devices
from service.accounts.account import Account
from service.accounts.known_devices import Marks
from service.errors import DatabaseUnavailable
from service.sessions.ids import cookie
from service.web.services import services

log = structlog.get_logger()

LIFETIME = 365 * 86400  # seconds


def marks() -> Marks:
    """The marks that the browser sent."""
    value = cookie(request.environ.get("HTTP_COOKIE", ""), services().serving.device_cookie_name)
    return known_devices.parse(value or "")


def remember(account: Account) -> None:
    """Remember that the browser is that of the owner of an account, who has just proved it: the
    response gives it a mark, unless it has one. Without Postgres it gets none, which only matters
    while somebody else guesses.

    Args:
        account: as it was at that proof.
    """
    if not services().throttle.rules.is_on:
        return
    presented = marks()
    try:
        kept = services().known_devices.remember(account.id, account.session_epoch, presented)
    except DatabaseUnavailable:
        log.warning("device_not_remembered")
        return
    if kept != presented:
        after_this_request(lambda response: _with_cookie(response, kept))


def _with_cookie(response: Response, kept: Marks) -> Response:
    response.set_cookie(
        services().serving.device_cookie_name,
        known_devices.joined(kept),
        max_age=LIFETIME,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return response
