"""Session checks. Under gunicorn, the event loop answers most of them without Flask."""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Response

from service.errors import SessionStoreUnavailable
from service.sessions.record import Record
from service.web import current, who
from service.web.answers import Answer

blueprint = Blueprint("session_checks", __name__)


@blueprint.get(who.CURRENT)
def signed_in() -> Response:
    """Tell a client of the API who is signed in, and with which session."""
    return _checked(who.CURRENT, who.current_session_answer)


@blueprint.get(who.VERIFY)
def verify() -> Response:
    """Tell a proxy who is signed in."""
    return _checked(who.VERIFY, who.verify_answer)


def _checked(path: str, describe: Callable[[Record | None], Answer]) -> Response:
    try:
        return describe(current.session().record).response()
    except SessionStoreUnavailable as error:
        return who.unavailable_answer(path, error).response()
