"""What gunicorn leaves to be done once the head of a request is there."""
# mypy: allow-untyped-calls

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from gunicorn.asgi.parser import ParseError, UnsupportedTransferCoding


def check_coding(request: Any) -> None:
    """Reject a body that would have to be decoded before it can be read (RFC 9112, section 6.1).

    Raises:
        UnsupportedTransferCoding: a coding other than chunked was applied to it.
    """
    for name, value in request.headers_bytes:
        if name == b"transfer-encoding" and value.strip(b" \t").lower() != b"chunked":
            raise UnsupportedTransferCoding


def to_origin_form(request: Any) -> None:
    """Split a target that is a whole URL into path and Host, which it overrides (RFC 9112, section
    3.2.2). A missing Host stays missing: the request is not valid without it.

    Raises:
        ParseError: the URL names no host, or a user.
    """
    scheme, is_absolute, rest = request.raw_path.partition(b"://")
    if not is_absolute or scheme.lower() not in (b"http", b"https"):
        return
    host, slash, path = rest.partition(b"/")
    if not host or b"@" in host:
        raise ParseError("The target of the request is not a valid URL.")
    request.raw_path = slash + path or b"/"
    request.path = unquote_to_bytes(request.raw_path).decode("utf-8", errors="replace")
    request.headers_bytes = [
        (name, host if name == b"host" else value) for name, value in request.headers_bytes
    ]
