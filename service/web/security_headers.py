"""Headers that every response has (OWASP Secure Headers Project).

They are added outside Flask, because its header objects are slow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)
ADDED, NAMES = list(HEADERS), {name.lower() for name, _ in HEADERS}


def with_security_headers(application: WSGIApplication) -> WSGIApplication:
    """Add HEADERS to every response of `application`, except those that it sets itself."""

    def secured(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Any:
            own = {name.lower() for name, _ in headers}
            added = (
                ADDED if NAMES.isdisjoint(own) else [h for h in ADDED if h[0].lower() not in own]
            )
            return start_response(status, headers + added, *exc_info)

        return application(environ, start)

    return secured
