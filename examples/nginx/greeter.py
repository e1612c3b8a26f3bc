"""An application that knows nothing about sessions: it greets the user that the proxy names.

gunicorn --bind 127.0.0.1:8001 greeter:application
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Greet the user in plain text, and say how many bytes were sent."""
    username = unquote(environ["HTTP_X_AUTH_USERNAME"])
    account, session = environ["HTTP_X_AUTH_ACCOUNT_ID"], environ["HTTP_X_AUTH_SESSION"]
    sent = len(environ["wsgi.input"].read())
    greeting = (
        f"Hello, {username}! Your account is number {account}, your session is {session},"
        f" and you sent {sent} bytes.\n"
    )
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    return [greeting.encode()]
