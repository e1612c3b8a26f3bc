"""The data in the current session."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, request

from service.throttling.table import Limited
from service.web import current
from service.web.bodies import LARGEST_BODY, json_object, merge_patch

blueprint = Blueprint("session_data", __name__)

PATH = "/sessions/current/data"


@blueprint.get(PATH)
def read() -> dict[str, Any]:
    """Show the data."""
    return current.session().copy()


@blueprint.patch(PATH)
def change() -> dict[str, Any]:
    """Change the data with a JSON merge patch (RFC 7396)."""
    request.max_content_length = LARGEST_BODY
    session = current.session()
    if session.new:
        current.charge(Limited.ANONYMOUS_SESSION)
    for key, value in json_object().items():
        if value is None:
            session.pop(key, None)
        else:
            session[key] = merge_patch(session.get(key), value)
    return session.copy()
