"""Rejects unsafe requests that another site makes a browser send.

Forms need no tokens, because every current browser says where a request comes from (W3C Fetch
Metadata; OWASP CSRF Prevention Cheat Sheet). A client that says nothing is a program, which sends a
cookie only on purpose.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from flask import current_app, request

from service.errors import CrossSite

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OURS = frozenset({"same-origin", "none"})  # none: the user's own doing, such as a bookmark
HOST = re.compile(r"([\w.-]+|\[[\da-f:.]+\])(:\d+)?", re.ASCII)
DEFAULT_PORTS = {"http": ":80", "https": ":443"}
LONGEST_LOGGED = 200  # characters
EXEMPT = "_accepts_other_sites"

View = TypeVar("View", bound=Callable[..., Any])

log = structlog.get_logger()


def cross_site_exempt(view: View) -> View:
    """Declare that a view accepts requests that other sites make a browser send, such as the form
    of an identity provider, or those that your CORS headers allow. It must then find out by itself
    whether its user meant them."""
    setattr(view, EXEMPT, True)
    return view


def cross_site_check(public_url: str | None) -> Callable[[], None]:
    """What Flask must call before each request.

    Args:
        public_url: the origin that requests of browsers must come from; None for that of the
            request itself, whatever host it names.

    Returns:
        A function that raises CrossSite if the request may change something and comes from
        elsewhere, by either of two headers.
    """

    def check() -> None:
        environ = request.environ
        if environ["REQUEST_METHOD"] in SAFE_METHODS:
            return
        if hasattr(current_app.view_functions.get(request.endpoint or ""), EXEMPT):
            return
        site, origin = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_ORIGIN")
        if site is not None and site not in OURS:
            raise CrossSite
        if origin is None or origin == (ours := public_url or _own_origin(environ)):
            return
        if site == "same-origin":  # the browser disagrees, so the settings are probably wrong
            sent = ascii(origin[:LONGEST_LOGGED])
            log.warning("origin_is_not_the_public_url", origin=sent, ours=ours)
        raise CrossSite

    return check


def _own_origin(environ: WSGIEnvironment) -> str | None:
    """The origin of the request, as browsers write it (RFC 6454, section 6.2), if it has one. The
    host is as the client sent it: Flask's own is empty for some hosts, like that of `null`."""
    scheme = environ["wsgi.url_scheme"]
    host = environ.get("HTTP_HOST", "").lower().removesuffix(DEFAULT_PORTS.get(scheme, ""))
    return f"{scheme}://{host}" if HOST.fullmatch(host) else None
