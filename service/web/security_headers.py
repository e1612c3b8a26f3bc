"""Headers that every response has (OWASP Secure Headers Project).

They are added outside Flask, because its header objects are slow.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from service.web.answers import Headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEADERS: Headers = (
    (
        "Content-Security-Policy",
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'",
    ),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    (
        "Permissions-Policy",
        "camera=(), display-capture=(), geolocation=(), hid=(), microphone=(), midi=(),"
        " payment=(), serial=(), usb=()",
    ),
    ("Referrer-Policy", "same-origin"),
    ("X-Content-Type-Options", "nosniff"),
)
# Browsers ignore it without TLS (RFC 6797, section 8.1).
ONLY_TLS = ("Strict-Transport-Security", "max-age=31536000; includeSubDomains")


def security_headers(tls: bool) -> Headers:
    """The headers of every response; `tls` if browsers may use the service over TLS only."""
    return (*HEADERS, ONLY_TLS) if tls else HEADERS


def with_security_headers(application: WSGIApplication, headers: Headers) -> WSGIApplication:
    """Add `headers` to every response of `application`, except those that it sets itself."""
    everything, names = list(headers), {name.lower() for name, _ in headers}

    def secured(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, given: list[tuple[str, str]], *exc_info: Any) -> Any:
            own = {name.lower() for name, _ in given}
            added = (
                everything
                if names.isdisjoint(own)
                else [header for header in headers if header[0].lower() not in own]
            )
            return start_response(status, given + added, *exc_info)

        return application(environ, start)

    return secured
