"""The mark in the browser's second cookie: `service.accounts.known_devices` says what it is for."""

from __future__ import annotations

import structlog
from flask import Response, after_this_request, current_app, request

from service.accounts.known_devices import Mark
from service.errors import DatabaseUnavailable
from service.sessions.ids import cookie
from service.web.services import services

log = structlog.get_logger()

LIFETIME = 365 * 86400  # seconds


def mark() -> Mark | None:
    """The mark that the browser sent, if it has the right shape."""
    value = cookie(request.environ.get("HTTP_COOKIE", ""), services().serving.device_cookie_name)
    return Mark.parse(value) if value is not None else None


def remember(account_id: int, epoch: int | None = None) -> None:
    """Remember that the browser is its owner's: it gets a mark, with the response, unless it has
    one. Without Postgres it gets none, which only matters while somebody else guesses.

    Args:
        account_id: of the account.
        epoch: its session epoch when the owner proved who it is; None: the present one.
    """
    if not services().throttle.rules.is_on:
        return
    presented = mark()
    try:
        kept = services().known_devices.remember(account_id, epoch, presented)
    except DatabaseUnavailable:
        log.warning("device_not_remembered")
        return
    if kept != presented:
        after_this_request(lambda response: _with_cookie(response, kept))


def _with_cookie(response: Response, kept: Mark) -> Response:
    response.set_cookie(
        services().serving.device_cookie_name,
        kept.value,
        max_age=LIFETIME,
        secure=current_app.config["SESSION_COOKIE_SECURE"],
        httponly=True,
        samesite="Lax",
    )
    return response
