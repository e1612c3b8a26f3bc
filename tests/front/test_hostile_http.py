"""What a client can send that is wrong, slow or too much, to a real gunicorn. Each connection ends
in time, each rejection has its response and one line in the log, and the service stays up."""

from __future__ import annotations

import os
import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import psycopg
import pytest
from redis import Redis

from service.front.limited_connection import LINGER
from service.web.security_headers import HEADERS
from tests.conditions import eventually
from tests.front.impatient import LIMIT
from tests.front.raw import Journal, Raw, Response
from tests.servers import Server, gunicorn
from tests.ways import PASSWORD

SECRETS = ("sesame-query", "sesame-cookie", "sesame-header")
HOST = b"Host: x\r\n"
HEAD = HOST + b"Cookie: session=sesame-cookie\r\nX-More: sesame-header\r\n"
ALIVE = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
REGISTER = b"POST /api/v1/accounts?sesame-query HTTP/1.1\r\n" + HEAD
CHUNKED = REGISTER + b"Transfer-Encoding: chunked\r\n\r\n"
SLACK = 1.5  # seconds that a busy machine may add
MOST_GROWTH = 32 * 1024 * 1024  # bytes of a worker under attack


@pytest.fixture(scope="module")
def impatient(environ: dict[str, str]) -> Iterator[Server]:
    """One worker with short limits; it logs in JSON, as in production."""
    arguments = "-k tests.front.impatient.Worker --keep-alive 1"
    more = {"GUNICORN_CMD_ARGS": arguments, "COATCHECK_LOG_FORMAT": "json"}
    with (
        TemporaryDirectory(prefix="coatcheck-hostile-") as directory,
        gunicorn(Path(directory), {**environ, **more}, workers=1) as server,
    ):
        yield server


@pytest.fixture
def url(impatient: Server, database: psycopg.Connection, redis: Redis) -> Iterator[str]:
    """Where it listens; the same worker serves at the end."""
    workers = impatient.workers()
    yield impatient.url
    assert alive(impatient.url)
    assert impatient.workers() == workers


@pytest.fixture
def journal(url: str, impatient: Server) -> Journal:
    return Journal(url, impatient.log)


def request(path: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n"


def alive(url: str) -> bool:
    with Raw(url) as raw:
        return raw.send(ALIVE).response().status == 200


def exchange(url: str, request: bytes) -> Response:
    """The response to one request, after which the server closes."""
    with Raw(url) as raw:
        response = raw.send(request).response()
        assert raw.is_closed()
        return response


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


@pytest.mark.parametrize("path", [b"/healthz", b"/auth/verify", b"/api/v1/sessions/current"])
def test_what_the_loop_answers_needs_a_host_like_everything_else(url: str, path: bytes) -> None:
    with Raw(url) as raw:
        raw.send(b"GET " + path + b" HTTP/1.1\r\nA: b\r\n\r\n")
        assert raw.response().status == 400


@pytest.mark.parametrize("path", [b"/healthz", b"/auth/verify", b"/api/v1/sessions/current"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_loop_answers_ends_the_connection_when_it_is_asked_to(
    url: str, path: bytes, method: str
) -> None:
    head = method.encode() + b" " + path + b" HTTP/1.1\r\n" + HOST
    with Raw(url) as raw:
        response = raw.send(head + b"Connection: close\r\n\r\n").response(method)
        assert response.header("connection") == "close"
        assert raw.is_closed()


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


@pytest.mark.parametrize("before", [b"", ALIVE], ids=["first", "second"])
def test_a_head_that_drips_is_ended_in_time(url: str, journal: Journal, before: bytes) -> None:
    with Raw(url) as raw:
        if before:
            assert raw.send(before).response().status == 200
        started = time.monotonic()
        drip(raw, b"GET /?sesame-query HTTP/1.1\r\n" + HEAD + b"X: " + b"y" * 8000)
        took = time.monotonic() - started
        response = raw.response()
        assert raw.is_closed()
    assert took < LIMIT + SLACK
    check_rejection(response, journal, 408)


@pytest.mark.parametrize(
    "head",
    [REGISTER + b"Content-Length: 5000\r\n\r\n", CHUNKED + b"1388\r\n"],
    ids=["length", "chunks"],
)
def test_a_body_that_drips_is_ended_in_time(url: str, journal: Journal, head: bytes) -> None:
    with Raw(url) as raw:
        started = time.monotonic()
        raw.send(head)
        drip(raw, b"x" * 5000)
        took = time.monotonic() - started
        response = raw.response()
        assert raw.is_closed()
    assert took < LIMIT + SLACK
    line = check_rejection(response, journal, 408)
    assert (line["method"], line["path"]) == ("POST", "/api/v1/accounts")


def drip(raw: Raw, data: bytes) -> None:
    """One byte at a time, until the server answers."""
    for byte in data:
        if select.select([raw.socket], [], [], 0.001)[0]:
            return
        raw.send(bytes([byte]))


def test_a_response_that_needs_no_body_does_not_wait_for_it(url: str, journal: Journal) -> None:
    with Raw(url) as raw:
        raw.send(b"GET /auth/verify HTTP/1.1\r\n" + HOST + b"Content-Length: 5000\r\n\r\n")
        assert raw.response().status == 401
        assert raw.is_closed()
    [line] = journal.requests()
    assert line["status"] == 401


def test_a_client_that_leaves_in_its_body_is_no_error(url: str, journal: Journal) -> None:
    for head in (REGISTER + b"Content-Length: 5000\r\n\r\nx", CHUNKED + b"10\r\nx"):
        with Raw(url) as raw:
            raw.send(head)
    assert [line for line in journal.requests() if line["status"] == 500] == []


def test_http_1_0_needs_no_host(url: str) -> None:
    response = exchange(url, b"GET /healthz HTTP/1.0\r\n\r\n")
    assert (response.status, response.body) == (200, b'{"status":"ok"}')


def test_head_has_no_body(url: str) -> None:
    with Raw(url) as raw:
        for path in (b"/healthz", b"/login", b"/api/v1/sessions/current", b"/nowhere"):
            raw.send(b"HEAD " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n")
            head = raw.response(to="HEAD")
            get = raw.send(b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n").response()
            assert head.status == get.status
            assert head.header("content-length") == str(len(get.body))


def test_a_client_that_expects_100_continue_gets_it(url: str) -> None:
    with Raw(url) as raw:
        raw.send(REGISTER + b"Content-Length: 2\r\nExpect: 100-continue\r\n")
        raw.send(b"Content-Type: application/json\r\n\r\n")
        assert raw.response().status == 100
        assert raw.send(b"{}").response().status == 422


def test_a_client_that_expects_100_continue_learns_before_it_sends_too_much(url: str) -> None:
    with Raw(url) as raw:
        raw.send(REGISTER + b"Content-Length: 70000\r\nExpect: 100-continue\r\n\r\n")
        assert raw.response().status == 413
        assert raw.is_closed()


def test_an_unknown_expectation_stops_nothing(url: str) -> None:
    with Raw(url) as raw:
        raw.send(b"GET /healthz HTTP/1.1\r\n" + HOST + b"Expect: the-unexpected\r\n\r\n")
        assert raw.response().status in (200, 417)


def test_requests_in_a_row_are_answered_in_order(url: str) -> None:
    """Those that threads carry out among those that the loop answers."""
    wanted = [("/healthz", 200), ("/login", 200), ("/auth/verify", 401), ("/nowhere", 404)]
    wanted.append(("/api/v1/usernames/nobody", 200))
    with Raw(url) as raw:
        raw.send(
            b"".join(b"GET %b HTTP/1.1\r\n%b\r\n" % (path.encode(), HOST) for path, _ in wanted)
        )
        responses = [raw.response() for _ in wanted]
    assert [response.status for response in responses] == [status for _, status in wanted]
    assert b"nobody" in responses[4].body
    assert b"<form" in responses[1].body


def test_bodies_in_a_row_are_told_apart(url: str) -> None:
    """With a length and in chunks, with extensions and trailers."""
    body = b'{"username": "x", "password": "y"}'
    size = b"%x" % len(body)
    kind = b"Content-Type: application/json\r\n"
    with Raw(url) as raw:
        with_length = REGISTER + kind + b"Content-Length: %d\r\n\r\n" % len(body) + body
        head = REGISTER + kind + b"Transfer-Encoding: chunked\r\n\r\n"
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
        extended = size + b';name="value";more\r\n' + body + b"\r\n0;last\r\nX-Sum: x\r\n\r\n"
        raw.send(with_length + head + chunks + head + extended + with_length + ALIVE)
        responses = [raw.response() for _ in range(5)]
    assert [response.status for response in responses] == [422, 422, 422, 422, 200]
    assert len({response.body for response in responses[:4]}) == 1


def test_a_body_of_a_get_is_no_second_request(url: str) -> None:
    """A proxy in front may think otherwise."""
    smuggled = b"DELETE /api/v1/account HTTP/1.1\r\n" + HOST + b"\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(smuggled)
    for path in (b"/healthz", b"/login"):
        with Raw(url) as raw:
            raw.send(b"GET " + path + b" HTTP/1.1\r\n" + HOST + length + smuggled + ALIVE)
            assert raw.response().status == 200
            assert raw.response().body == b'{"status":"ok"}'


@pytest.mark.parametrize(
    "upgrade",
    [
        b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    ],
    ids=["websocket", "h2c"],
)
def test_an_upgrade_is_not_made_and_the_request_is_served(url: str, upgrade: bytes) -> None:
    for path, status in ((b"/healthz", 200), (b"/auth/verify", 401), (b"/login", 200)):
        with Raw(url) as raw:
            raw.send(b"GET " + path + b" HTTP/1.1\r\n" + HOST + upgrade + b"\r\n")
            assert raw.response().status == status
            assert raw.send(ALIVE).response().status == 200


@pytest.mark.parametrize(
    "header",
    [
        b"SCRIPT_NAME: //evil.example",
        b"Script-Name: //evil.example",
        b"PATH_INFO: /healthz",
        b"X-Forwarded-Host: evil.example",
        b"X-Forwarded-Prefix: //evil.example",
        b"X-Forwarded-Proto: https",
        b"X-Forwarded-Ssl: on",
        b"X-Forwarded-For: 192.0.2.1",
        b"Forwarded: host=evil.example;proto=https",
        b"REMOTE_USER: root",
        b"X-Original-URL: /healthz",
        b"X-HTTP-Method-Override: DELETE",
    ],
    ids=lambda header: header.split(b":")[0].decode(),
)
def test_no_header_changes_what_is_served_without_a_declared_proxy(url: str, header: bytes) -> None:
    request = b"POST /logout HTTP/1.1\r\n" + HOST + b"Content-Length: 0\r\n"
    with Raw(url) as raw:
        plain = raw.send(request + b"\r\n").response("POST")
        changed = raw.send(request + header + b"\r\n\r\n").response("POST")
    assert (plain.status, plain.header("location")) == (303, "/")
    assert [pair for pair in changed.headers if pair[0] != "date"] == [
        pair for pair in plain.headers if pair[0] != "date"
    ]
    assert changed.body == plain.body


@pytest.mark.parametrize(
    "target",
    [
        b"//evil.example/",
        b"//evil.example/%2e%2e",
        b"/%2F%2Fevil.example/..",
        b"/login//evil.example",
        b"/account?next=//evil.example",
        b"http://evil.example/account",
    ],
)
def test_no_path_leads_to_another_site(url: str, target: bytes) -> None:
    with Raw(url) as raw:
        response = raw.send(request(target)).response()
    assert response.status < 500
    assert "evil.example" not in (response.header("location") or "").partition("?")[0]


def test_a_line_break_in_a_path_stays_in_one_line_of_the_log(url: str, journal: Journal) -> None:
    with Raw(url) as raw:
        raw.send(b'GET /a%0A{"event":"request","status":200}%0Db HTTP/1.1\r\n' + HOST + b"\r\n")
        assert raw.response().status == 404
    [line] = journal.requests()
    assert line["status"] == 404
    assert line["path"].startswith("/a")


@pytest.mark.parametrize("path", [b"/login", b"/auth/verify", b"/healthz"])
def test_a_client_that_sends_all_it_can_and_never_reads_is_cut_off(
    url: str, impatient: Server, path: bytes
) -> None:
    growth = Growth(impatient)
    with Raw(url, receive_buffer=4096) as raw:
        deadline = time.monotonic() + LIMIT + LINGER + SLACK
        with pytest.raises(ConnectionError):
            while time.monotonic() < deadline:
                raw.send(request(path) * 100)
                growth.look()
    assert growth.most < MOST_GROWTH


def test_a_client_that_never_reads_is_cut_off_though_it_sends_no_more_than_is_served(
    url: str, impatient: Server
) -> None:
    """A response without a body waits for nobody to read the one before it."""
    growth = Growth(impatient)
    sent = 0
    with Raw(url, receive_buffer=4096) as raw, impatient.log.open("rb") as log:
        log.seek(0, os.SEEK_END)
        served = 0

        def is_served() -> bool:
            nonlocal served
            served += log.read().count(b"\n")  # nobody else asks for anything
            return served >= sent

        deadline = time.monotonic() + 20
        while is_served():
            assert time.monotonic() < deadline
            raw.send(request(b"/auth/verify") * 500)
            sent += 500
            eventually(lambda: is_served() or not growth.has_connection(raw))
            growth.look()
    assert growth.most < MOST_GROWTH


class Growth:
    """By how many bytes a worker has grown at most."""

    def __init__(self, server: Server) -> None:
        (worker,) = server.workers()
        self._process = psutil.Process(worker)
        self._before = self._process.memory_info().rss
        self.most = 0

    def has_connection(self, raw: Raw) -> bool:
        """Whether the worker still has the other end."""
        client = raw.socket.getsockname()
        return any(each.raddr == client for each in self._process.net_connections("tcp4"))

    def look(self) -> None:
        self.most = max(self.most, self._process.memory_info().rss - self._before)


def test_a_thousand_idle_connections_hold_up_nobody_and_are_closed_in_time(
    url: str, journal: Journal
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(4096, hard)), hard))
    with ExitStack() as stack:
        started = time.monotonic()
        idle = [stack.enter_context(Raw(url)) for _ in range(1000)]
        for _ in range(10):
            assert alive(url)
        assert time.monotonic() - started < 0.5
        for raw in idle:
            assert raw.is_closed()
        assert time.monotonic() - started < LIMIT + SLACK
    assert journal.requests() == []


def test_a_member_registers_and_is_known_among_all_that(url: str) -> None:
    body = b'{"username": "bob", "password": "%b"}' % PASSWORD.encode()
    head = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    with Raw(url) as raw:
        registered = raw.send(b"POST /api/v1/accounts HTTP/1.1\r\n" + HOST + head + body).response()
        assert registered.status == 201
        cookie = (registered.header("set-cookie") or "").partition(";")[0].encode()
        other = b"Cookie: a=b\r\nCookie: " + cookie + b"\r\n"
        raw.send(b"GET /auth/verify HTTP/1.1\r\n" + HOST + other + b"\r\n")
        assert raw.response().header("x-auth-username") == "bob"
