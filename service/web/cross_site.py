"""Refuses unsafe requests that another site made a browser send.

Instead of tokens in forms: every current browser says where a request comes from
(W3C Fetch Metadata; OWASP CSRF Prevention Cheat Sheet). A client that says neither is no
browser, and carries no cookie that it was not given on purpose.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import request

from service.errors import CrossSite

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def refuse_cross_site() -> None:
    """To be called before each request.

    Raises:
        CrossSite: the request may change something and comes from another origin.
    """
    environ = request.environ
    if environ["REQUEST_METHOD"] in SAFE_METHODS:
        return
    if site := environ.get("HTTP_SEC_FETCH_SITE"):
        if site not in ("same-origin", "none"):
            raise CrossSite
    elif (origin := environ.get("HTTP_ORIGIN")) and urlsplit(origin).netloc != request.host:
        raise CrossSite
