"""The address that the event loop limits by is the one that Flask sees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as some
from werkzeug.middleware.proxy_fix import ProxyFix

from service.front.client_address import client_address
from service.front.wsgi import environ_of

PEER = ("192.0.2.1", 50000)
PIECES = ["198.51.100.7", "198.51.100.7:80", "[2001:db8::1]:80", "2001:db8::1", "unknown", '"a,b"']
PIECES += ["", " ", ",", ", ,", '"', "\\", '"\\"', "x" * 300, "\xa0", "é"]


def in_flask(headers: list[tuple[bytes, bytes]], proxies: int) -> str:
    """What a view gets as request.remote_addr."""
    scope = {
        "client": PEER,
        "server": ("127.0.0.1", 80),
        "method": "GET",
        "raw_path": b"/",
        "query_string": b"",
        "http_version": "1.1",
        "scheme": "http",
        "headers": headers,
    }
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], _: object) -> list[bytes]:
        seen.update(environ)
        return []

    environ = environ_of(scope, b"")
    if proxies:
        ProxyFix(application, x_for=proxies)(environ, lambda *_: None)  # type: ignore[arg-type]
    else:
        application(environ, None)
    return str(seen["REMOTE_ADDR"])


@given(
    some.lists(some.lists(some.sampled_from(PIECES), max_size=4).map(",".join), max_size=3),
    some.integers(0, 3),
)
@example(["203.0.113.5, 198.51.100.7"], 1)
@example([], 2)
def test_loop_and_flask_agree(sent: list[str], proxies: int) -> None:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in sent]
    assert client_address(PEER, headers, proxies) == in_flask(headers, proxies)


@pytest.mark.parametrize(
    ("proxies", "address"),
    [(0, "192.0.2.1"), (1, "198.51.100.7"), (2, "203.0.113.5"), (3, "192.0.2.1")],
)
def test_only_what_our_own_proxies_add_counts(proxies: int, address: str) -> None:
    headers = [(b"x-forwarded-for", b"203.0.113.5, 198.51.100.7")]
    assert client_address(PEER, headers, proxies) == address


@pytest.mark.parametrize("peer", [None, "", b"", "unix:"])
def test_a_unix_socket_has_no_address(peer: Any) -> None:
    assert client_address(peer, [], 0) == ""
