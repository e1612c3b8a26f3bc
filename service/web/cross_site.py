"""Rejects unsafe requests that another site makes a browser send.

Forms need no tokens, because every current browser says where a request comes from (W3C Fetch
Metadata; OWASP CSRF Prevention Cheat Sheet). A client that says nothing is a program, which sends a
cookie only on purpose.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flask import request

from service.errors import CrossSite

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def refuse_cross_site() -> None:
    """Check a request; Flask calls this before each one.

    Raises:
        CrossSite: the request may change something and comes from another origin.
    """
    environ = request.environ
    if environ["REQUEST_METHOD"] in SAFE_METHODS:
        return
    if site := environ.get("HTTP_SEC_FETCH_SITE"):
        if site not in ("same-origin", "none"):
            raise CrossSite
    elif (origin := environ.get("HTTP_ORIGIN")) and not _is_ours(origin, environ):
        raise CrossSite


def _is_ours(origin: str, environ: WSGIEnvironment) -> bool:
    try:
        host = urlsplit(origin).netloc
    except ValueError:
        return False
    # As the client sent it: Flask's own is empty for some hosts, like that of `null`.
    return host != "" and host == environ.get("HTTP_HOST")
