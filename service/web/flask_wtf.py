"""Beside Flask-WTF's CSRFProtect."""

from __future__ import annotations

from flask import current_app, request

from service.web.cross_site import SAFE_METHODS
from service.web.routes import OURS


def leave_our_forms_to_us() -> None:
    """Exempt our views from CSRFProtect, if the application has it: their forms have no tokens,
    because `cross_site` protects them. Flask must call this before each request, and before
    CSRFProtect, which may be set up later than we are."""
    if request.method in SAFE_METHODS or OURS not in request.blueprints:
        return
    if protect := current_app.extensions.get("csrf"):
        protect.exempt(current_app.view_functions[str(request.endpoint)])
