"""What a client can send that is wrong, slow or too much, to a real gunicorn. Each connection ends
in time, each rejection has its response and one line in the log, and the service stays up."""

from __future__ import annotations

import select
import socket

import pytest

from tests.front.raw import HOST, Journal, Raw
from tests.front.rejections import CHUNKED, HEAD, REGISTER, check_rejection

LONG = b"A: " + b"b" * 8000 + b"\r\n"
MALFORMED = {
    "no Host": (b"GET /?sesame-query HTTP/1.1\r\nCookie: sesame-cookie\r\n\r\n", 400),
    "two Hosts": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + HOST + b"\r\n", 400),
    "no version": (b"GET /?sesame-query\r\n" + HEAD + b"\r\n", 400),
    "version 3": (b"GET /?sesame-query HTTP/3.0\r\n" + HEAD + b"\r\n", 400),
    "no path": (b"GET  HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "no slash": (b"GET sesame-query HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "space in the path": (b"GET /a sesame-query HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "method": (b"GE(T /?sesame-query HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "bare LF": (b"GET /?sesame-query HTTP/1.1\n" + HEAD.replace(b"\r\n", b"\n") + b"\n", 400),
    "LF after a header": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + b"A: b\n\r\n", 400),
    "CR in a header": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + b"A: b\rC: d\r\n\r\n", 400),
    "NUL in a header": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + b"A: b\0c\r\n\r\n", 400),
    "NUL in a name": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + b"A\0b: c\r\n\r\n", 400),
    "NUL in the path": (b"GET /\0?sesame-query HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "space before a colon": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + b"A : b\r\n\r\n", 400),
    "no colon": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + b"sesame-header\r\n\r\n", 400),
    "folded header": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + b"A: b\r\n c\r\n\r\n", 400),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03sesame-query\r\n\r\n", 400),
    "length and chunks": (
        REGISTER + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "two lengths": (REGISTER + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", 400),
    "a list of lengths": (REGISTER + b"Content-Length: 5, 5\r\n\r\nhello", 400),
    "negative length": (REGISTER + b"Content-Length: -5\r\n\r\n", 400),
    "length with a sign": (REGISTER + b"Content-Length: +5\r\n\r\nhello", 400),
    "hexadecimal length": (REGISTER + b"Content-Length: 0x5\r\n\r\nhello", 400),
    "length with underscores": (REGISTER + b"Content-Length: 1_0\r\n\r\n0123456789", 400),
    "empty length": (REGISTER + b"Content-Length: \r\n\r\n", 400),
    "unknown coding": (REGISTER + b"Transfer-Encoding: gzip\r\n\r\n", 400),
    "a body that is compressed": (
        REGISTER + b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        501,
    ),
    "a URL without a host": (b"GET http:///healthz HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "a URL with a user": (b"GET http://a@b/healthz HTTP/1.1\r\n" + HEAD + b"\r\n", 400),
    "chunked twice": (
        REGISTER + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    "chunks in HTTP/1.0": (
        CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
        400,
    ),
    "chunk size": (CHUNKED + b"sesame-header\r\n", 400),
    "negative chunk size": (CHUNKED + b"-1\r\n", 400),
    "chunk size with 0x": (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", 400),
    "chunk size of 20 digits": (CHUNKED + b"f" * 20 + b"\r\n", 400),
    "chunk without its end": (CHUNKED + b"5\r\nhello!!0\r\n\r\n", 400),
    "chunk with a bare LF": (CHUNKED + b"5\nhello\n0\n\n", 400),
    "chunk extension with LF": (CHUNKED + b"5;a=b\nc\r\nhello\r\n0\r\n\r\n", 400),
    "long chunk extension": (CHUNKED + b"5;" + b"a" * 100_000 + b"\r\nhello\r\n", 400),
    "long request line": (b"GET /" + b"x" * 5000 + b"?sesame-query HTTP/1.1\r\n\r\n", 414),
    "endless request line": (b"GET /sesame-query" + b"x" * 20_000, 414),
    "long header": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + b"A: " + b"b" * 9000, 431),
    "many headers": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + b"A: b\r\n" * 70 + b"\r\n", 431),
    "large head": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + LONG * 5 + b"\r\n", 431),
    "large head without an end": (b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + LONG * 5, 431),
    "large body": (REGISTER + b"Content-Length: 70000\r\n\r\n", 413),
    "very large body": (REGISTER + b"Content-Length: " + b"9" * 18 + b"\r\n\r\n", 413),
    "large chunks": (CHUNKED + b"8000\r\n" + b"x" * 0x8000 + b"\r\n" + b"9000\r\n", 413),
}


@pytest.mark.parametrize(("request_", "status"), MALFORMED.values(), ids=list(MALFORMED))
def test_what_is_wrong_is_rejected_with_one_line_in_the_log(
    url: str, journal: Journal, request_: bytes, status: int
) -> None:
    if status == 413 and CHUNKED in request_:
        request_ += b"y" * 0x9000
    with Raw(url) as raw:
        response = raw.send(request_).response()
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.is_closed()
    check_rejection(response, journal, status)


def test_a_body_that_is_too_large_is_rejected_to_a_client_that_still_sends(
    url: str, journal: Journal
) -> None:
    """It sees the response, not a reset, though it goes on sending for a while."""
    with Raw(url) as raw:
        raw.send(REGISTER + b"Content-Length: 50000000\r\n\r\n")
        for _ in range(20):
            raw.send(b"x" * 200_000)
        assert select.select([raw.socket], [], [], 5)[0]
        response = raw.response()
    check_rejection(response, journal, 413)


def test_a_line_break_in_a_path_stays_in_one_line_of_the_log(url: str, journal: Journal) -> None:
    with Raw(url) as raw:
        raw.send(b'GET /a%0A{"event":"request","status":200}%0Db HTTP/1.1\r\n' + HOST + b"\r\n")
        assert raw.response().status == 404
    [line] = journal.requests()
    assert line["status"] == 404
    assert line["path"].startswith("/a")


ONE = b"POST /nowhere HTTP/1.1\r\n" + HOST + LONG * 3 + b"Content-Length: 20000\r\n\r\n"


def test_heads_of_moderate_size_are_accepted_one_after_the_other_with_their_bodies(
    url: str,
) -> None:
    """In one piece, which is larger than a head may be."""
    with Raw(url) as raw:
        raw.send((ONE + b"x" * 20000) * 2)
        assert [raw.response().status for _ in range(2)] == [404] * 2


def test_a_head_that_arrives_in_pieces_after_another_request_is_limited_too(url: str) -> None:
    with Raw(url) as raw:
        assert raw.send(ONE + b"x" * 20000).response().status == 404
        raw.send(b"GET / HTTP/1.1\r\n" + HOST)
        for _ in range(5):
            raw.send(LONG)
        assert raw.response().status == 431
        assert raw.is_closed()
