"""Which cookie is the session's, to a real gunicorn, as a browser sends it."""

from __future__ import annotations

import pytest

from service.web.who import CURRENT, VERIFY
from tests.front.raw import HOST, Raw
from tests.ways import BehindTheFront

DATA = f"{CURRENT}/data"
# Chromium keeps all of these in a cookie's name and value, and sends non-ASCII characters in UTF-8.
STRANGE = [
    "\x85".encode(),
    "\xa0".encode(),
    b"\x85",
    b"\xa0",
    "\u2003".encode(),
    "\u3000".encode(),
    "\ufeff".encode(),
    b"\x1c",
    b"\x1f",
    b"\x0b",
    b"\x0c",
]


@pytest.fixture
def cookie(behind_the_front: BehindTheFront) -> bytes:
    """The id of somebody who is signed in, and keeps data."""
    client = behind_the_front.client()
    client.register()
    assert client.patch(DATA, json={"key": "value"}).status == 200
    assert client.cookie is not None
    return client.cookie.encode()


def is_signed_in(url: str, header: bytes) -> bool:
    """Whether a request with that Cookie header counts as somebody's: to the loop, to a proxy that
    asks, and to Flask, which all agree."""
    found = set()
    for path in (CURRENT, VERIFY, DATA):
        head = b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"Cookie: " + header
        with Raw(url) as raw:
            response = raw.send(head + b"\r\n\r\n").response()
        assert response.status in (200, 400, 401)
        found.add(b'"value"' in response.body if path == DATA else response.status == 200)
    (signed_in,) = found
    return signed_in


@pytest.mark.parametrize("around", [b"", b" ", b"\t", b" \t "])
def test_spaces_and_tabs_around_name_and_value_do_not_count(
    front_url: str, cookie: bytes, around: bytes
) -> None:
    padded = around + b"session" + around + b"=" + around + cookie + around
    assert is_signed_in(front_url, padded)
    assert is_signed_in(front_url, b"other=1;" + padded + b";more=1")


@pytest.mark.parametrize("strange", STRANGE)
def test_anything_else_belongs_to_the_name_or_the_value(
    front_url: str, cookie: bytes, strange: bytes
) -> None:
    """G8: a sibling domain can set a cookie of almost our name, though not of our name."""
    for other in (
        strange + b"session=" + cookie,
        b"session" + strange + b"=" + cookie,
        b" " + strange + b" session=" + cookie,
        b"other=1; " + strange + b"session=" + cookie,
        b"other=1;" + strange + b"session=" + cookie,
        b"session=" + strange + cookie,
        b"session=" + cookie + strange,
    ):
        assert not is_signed_in(front_url, other), other
    if strange not in (b"\x1c", b"\x1f", b"\x0b", b"\x0c"):  # no browser sends these at all
        assert is_signed_in(front_url, strange + b"session=x; session=" + cookie)


@pytest.mark.parametrize(
    "header", [b"SESSION=%s", b"$session=%s", b'session="%s"', b"session=%s,", b"=session=%s"]
)
def test_a_name_or_value_that_is_only_similar_does_not_count(
    front_url: str, cookie: bytes, header: bytes
) -> None:
    assert not is_signed_in(front_url, header % cookie)


def test_the_first_of_two_cookies_of_our_name_counts(front_url: str, cookie: bytes) -> None:
    """RFC 6265, section 5.4: the one with the longer path comes first, then the older one."""
    assert is_signed_in(front_url, b"session=" + cookie + b"; session=x")
    assert not is_signed_in(front_url, b"session=x; session=" + cookie)
