"""Requests that are rejected, and what must be true of every rejection."""

from __future__ import annotations

from typing import Any

from service.web.security_headers import HEADERS
from tests.front.raw import HOST, Journal, Response

SECRETS = ("sesame-query", "sesame-cookie", "sesame-header")
HEAD = HOST + b"Cookie: session=sesame-cookie\r\nX-More: sesame-header\r\n"
REGISTER = b"POST /api/v1/accounts?sesame-query HTTP/1.1\r\n" + HEAD
CHUNKED = REGISTER + b"Transfer-Encoding: chunked\r\n\r\n"


def check_rejection(response: Response, journal: Journal, status: int) -> dict[str, Any]:
    """A rejection says what is wrong, has all headers, and one line in the log, without secrets."""
    assert response.status == status
    assert response.header("content-type") == "application/problem+json"
    for name, value in HEADERS:
        assert response.header(name) == value
    text = journal.text()
    for secret in (*SECRETS, "Traceback"):
        assert secret not in text
        assert secret.encode() not in response.body
    [line] = journal.requests()
    assert line["status"] == status
    assert line["bytes"] == len(response.body)
    return line
