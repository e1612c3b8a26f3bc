"""The address of a client, as Flask sees it behind ProxyFix."""

from __future__ import annotations

from typing import Any

from werkzeug.http import parse_list_header

from service.front.asgi import RawHeaders


def client_address(peer: Any, headers: RawHeaders, proxies: int) -> str:
    """What the outermost of our own proxies says, in X-Forwarded-For; without proxies, or if too
    few of them have added to that header, the other end of the connection.

    Args:
        peer: from the socket: host and port; something else for a Unix socket.
        headers: of the request, with names in lower case.
        proxies: how many of them to trust. Only the last one can know its client; everything to the
            left of what they have added may be made up.
    """
    if proxies:
        sent = [value for name, value in headers if name == b"x-forwarded-for"]
        listed = _listed(b", ".join(sent).decode("latin-1"))
        if len(listed) >= proxies and listed[-proxies]:
            return listed[-proxies]
    return str(peer[0]) if isinstance(peer, tuple | list) and peer else ""


def _listed(header: str) -> list[str]:
    """The entries of a list, as ProxyFix reads them; without quotes, three times as fast."""
    if '"' in header:
        return parse_list_header(header)
    entries = (entry.strip(" \t") for entry in header.split(","))
    return [entry for entry in entries if entry]
