"""An application that knows nothing about sessions: it greets the user that the proxy names.

gunicorn --bind 127.0.0.1:8002 greeter:application
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Greet the user in plain text, and say what was sent: how many bytes, and which cookies."""
    username = unquote(environ["HTTP_X_AUTH_USERNAME"])
    account, session = environ["HTTP_X_AUTH_ACCOUNT_ID"], environ["HTTP_X_AUTH_SESSION"]
    sent = len(environ["wsgi.input"].read())
    cookies = environ.get("HTTP_COOKIE", "")
    greeting = (
        f"Hello, {username}! Your account is number {account}, your session is {session},"
        f" you sent {sent} bytes, and your cookies are [{cookies}].\n"
    )
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [greeting.encode("utf-8", "surrogateescape")]
