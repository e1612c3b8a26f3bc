"""What a real gunicorn makes of requests that are unusual but right."""

from __future__ import annotations

import pytest

from tests.front.raw import ALIVE, HOST, Raw, Response, request
from tests.front.rejections import REGISTER
from tests.passwords import PASSWORD


def exchange(url: str, request: bytes) -> Response:
    """The response to one request, after which the server closes."""
    with Raw(url) as raw:
        response = raw.send(request).response()
        assert raw.is_closed()
        return response


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


def test_bodies_in_a_row_are_kept_apart(url: str) -> None:
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
        b"/coatcheck/static//coatcheck.css",
        b"//evil.example/coatcheck/static//x",
        b"/coatcheck/static/..//evil.example",
        b"/coatcheck/static/%2e%2e/%2e%2e/config/settings.py",
        b"/coatcheck/static/..%5c..%5cconfig",
        b"//coatcheck/static//evil.example",
        b"/account?next=//evil.example",
        b"http://evil.example/account",
    ],
)
def test_no_path_leads_to_another_site(url: str, target: bytes) -> None:
    with Raw(url) as raw:
        response = raw.send(request(target)).response()
    assert response.status < 500
    location = response.header("location") or ""
    assert location.startswith("/") or not location  # a Host made up would be in a whole URL
    assert "evil.example" not in location.partition("?")[0]


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


@pytest.mark.parametrize("path", ["/healthz", "/login"])
def test_a_target_that_is_a_whole_url_is_served_like_its_path(url: str, path: str) -> None:
    """RFC 9112, section 3.2.2: as clients of a proxy send it."""
    target = f"http://front.example{path}?a=b".encode()
    with Raw(url) as raw:
        raw.send(b"GET " + target + b" HTTP/1.1\r\nHost: ignored.example\r\n\r\n")
        assert raw.response().status == 200


def test_the_host_of_a_whole_url_overrides_the_header(url: str) -> None:
    """The origin of a request is compared with what its target names."""
    head = b"POST http://front.example/logout HTTP/1.1\r\nHost: ignored.example\r\n"
    for origin, status in ((b"http://front.example", 303), (b"http://ignored.example", 403)):
        with Raw(url) as raw:
            raw.send(head + b"Origin: " + origin + b"\r\nContent-Length: 0\r\n\r\n")
            assert raw.response().status == status
