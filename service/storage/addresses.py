"""Parses Coatcheck's own Redis URLs, which may list several hosts."""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

LOGIN = frozenset({"username", "password", "ssl_certfile", "ssl_keyfile", "ssl_password"})


def names(parts: SplitResult) -> list[str]:
    """Each `HOST[:PORT]` of a URL that lists several."""
    return parts.netloc.rpartition("@")[2].split(",")


def hosts(parts: SplitResult, default_port: int) -> list[tuple[str, int]]:
    """The host and port of each."""
    found = [urlsplit(f"//{name}") for name in names(parts)]
    return [(host.hostname or "", host.port or default_port) for host in found]


def login(parts: SplitResult) -> dict[str, Any]:
    """Username and password, if given, as arguments for redis-py."""
    found = {"username": parts.username, "password": parts.password}
    return {name: unquote(value) for name, value in found.items() if value}


def without_login(url: str) -> str:
    """The URL without all that proves who asks."""
    parts = urlsplit(url)
    query = [(name, value) for name, value in parse_qsl(parts.query) if name not in LOGIN]
    address = ",".join(names(parts))
    return f"{parts.scheme}://{address}{parts.path}?{urlencode(query)}"
