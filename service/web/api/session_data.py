"""The data that clients keep in the current session, apart from `flask.session`."""

from __future__ import annotations

from flask import Blueprint, Response, request

from service.throttling.table import Limited
from service.web import current
from service.web.answers import JSON, json_response
from service.web.bodies import LARGEST_BODY, MERGE_PATCH, json_patch, merge_patch

blueprint = Blueprint("session_data", __name__)

PATH = "/sessions/current/data"


@blueprint.after_request
def say_what_patch_accepts(response: Response) -> Response:
    """Name the types of a patch (RFC 5789, section 3.1)."""
    response.headers["Accept-Patch"] = f"{MERGE_PATCH}, {JSON}"
    return response


@blueprint.get(PATH)
def read() -> Response:
    """Show the data."""
    return json_response(dict(current.session().api_data))


@blueprint.patch(PATH)
def change() -> Response:
    """Change the data with a JSON merge patch (RFC 7396)."""
    request.max_content_length = LARGEST_BODY
    patch, session = json_patch(), current.session()
    if session.new:
        current.charge(Limited.ANONYMOUS_SESSION)
    data = session.api_data
    for key, value in patch.items():
        if value is None:
            data.pop(key, None)
        else:
            data[key] = merge_patch(data.get(key), value)
    return json_response(dict(data))
