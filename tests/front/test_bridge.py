"""What a WSGI application sees behind the front, and what its responses become."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.conditions import eventually
from tests.front import views
from tests.front.raw import Journal, Raw, Response
from tests.servers import Server, gunicorn

HOST = b"Host: example.org\r\n"


@pytest.fixture(scope="module")
def bridge() -> Iterator[Server]:
    """The application of `views` in two threads behind the front."""
    with TemporaryDirectory(prefix="coatcheck-bridge-") as directory:
        more = {
            "GUNICORN_CMD_ARGS": "-k tests.front.plain.Worker",
            "COATCHECK_ENV": "testing",
            "COATCHECK_LOG_FORMAT": "json",
            "DATABASE_URL": "postgresql://nobody@localhost:1/nowhere",
            "REDIS_URL": "unix:///nowhere/redis.sock",
        }
        application = "tests.front.views:application"
        with gunicorn(Path(directory), more, workers=1, application=application) as server:
            yield server


@pytest.fixture
def url(bridge: Server) -> str:
    return bridge.url


@pytest.fixture
def journal(bridge: Server) -> Journal:
    return Journal(bridge.url, bridge.log, status=200)


class Quiet(WSGIRequestHandler):
    def log(self, *_: Any) -> None: ...


@pytest.fixture(scope="module")
def werkzeug_url() -> Iterator[str]:
    """The same application under werkzeug's own server."""
    server = make_server("127.0.0.1", 0, views.application, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(url: str, target: str | bytes, method: str = "GET", headers: bytes = b"") -> Response:
    target = target.encode() if isinstance(target, str) else target
    with Raw(url) as raw:
        head = method.encode() + b" " + target + b" HTTP/1.1\r\n" + HOST + headers
        return raw.send(head + b"Connection: close\r\n\r\n").response(method)


def seen(url: str, target: str | bytes, headers: bytes = b"") -> dict[str, str]:
    """The environ that the application saw."""
    found: dict[str, str] = json.loads(ask(url, target, headers=headers).body)
    return found


def counted(url: str) -> dict[str, int]:
    found: dict[str, int] = json.loads(ask(url, "/counted").body)
    return found


@pytest.mark.parametrize(
    "target",
    [
        b"/echo",
        b"/echo/",
        b"/echo//double",
        b"/echo/a%2Fb",
        b"/echo/%2e%2e/x",
        b"/echo/../x",
        b"/echo/./x",
        b"/echo/caf%C3%A9",
        b"/echo/%00",
        b"/echo/%0A%0D",
        b"/echo/%25%32%35",
        b"/echo/100%",
        b"/echo/%zz",
        b"/echo/%4",
        b"/echo/a+b%20c",
        b"/echo/;v=1",
        b"/echo?",
        b"/echo?a=b&a=c",
        b"/echo?a=%C3%A9&b=%FF&c=+",
        b"/echo?a=?b",
        b"/echo/%3Fnot=query",
    ],
)
def test_a_path_and_a_query_reach_the_application_as_under_werkzeug(
    url: str, werkzeug_url: str, target: bytes
) -> None:
    ours, theirs = seen(url, target), seen(werkzeug_url, target)
    for name in ("PATH_INFO", "QUERY_STRING", "SCRIPT_NAME", "REQUEST_METHOD"):
        assert ours[name] == theirs[name]


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"//echo", "//echo"),
        (b"/echo/caf%E9", "/echo/caf\xe9"),
        (b"/echo/caf%C3%A9", "/echo/caf\xc3\xa9"),
        (b"/echo/%FF%FE%00", "/echo/\xff\xfe\0"),
        (b"/echo/%2f%3F%25", "/echo//?%"),
    ],
)
def test_each_byte_of_a_path_is_one_character(url: str, target: bytes, path: str) -> None:
    """PEP 3333. werkzeug's own server replaces what is not UTF-8, and joins slashes."""
    assert seen(url, target)["PATH_INFO"] == path


def test_headers_reach_the_application_as_under_werkzeug(url: str, werkzeug_url: str) -> None:
    headers = (
        b"X-One: 1\r\nx-TWO:   spaced\r\nX-Many: a\r\nX-Many: b\r\nX-Empty:\r\n"
        b"X-Latin: caf\xe9\r\nContent-Type: text/x\r\nUser-Agent: me\r\n"
    )
    ours, theirs = seen(url, b"/echo", headers), seen(werkzeug_url, b"/echo", headers)
    names = {name for name in theirs if name.startswith(("HTTP_", "CONTENT_TYPE"))}
    assert {name for name in ours if name.startswith("HTTP_")} <= names
    for name in names - {"HTTP_X_MANY"}:
        assert ours[name] == theirs[name]
    assert ours["HTTP_X_MANY"].replace(" ", "") == theirs["HTTP_X_MANY"].replace(" ", "") == "a,b"


def test_cookies_of_two_headers_are_joined_as_cookies_are(url: str) -> None:
    headers = b"Cookie: a=1\r\nX: y\r\nCookie: b=2; c=3\r\nCOOKIE: d=4\r\n"
    assert seen(url, "/echo", headers)["HTTP_COOKIE"] == "a=1; b=2; c=3; d=4"


def test_the_environ_says_where_the_request_came_from(url: str) -> None:
    environ = seen(url, "/echo")
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == url.rpartition(":")[2]
    assert environ["HTTP_HOST"] == "example.org"
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"
    assert environ["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize(
    "header",
    [b"SCRIPT_NAME: /x", b"PATH_INFO: /x", b"X_FORWARDED_FOR: x", b"REMOTE_ADDR: x", b"X_y: x"],
)
def test_a_header_with_an_underscore_is_dropped(url: str, header: bytes) -> None:
    """It would look like one with a hyphen, which a proxy may vouch for."""
    names = set(seen(url, "/echo", header + b"\r\n"))
    assert names == set(seen(url, "/echo"))


def test_a_proxy_header_does_not_become_a_proxy(url: str) -> None:
    """CGI's httpoxy: nothing in the process may take HTTP_PROXY for a setting of its own."""
    assert seen(url, "/echo", b"Proxy: http://evil.example\r\n")["wsgi.url_scheme"] == "http"


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_reaches_the_application_with_its_length(url: str, framing: str) -> None:
    body = bytes(range(256)) * 1000
    with Raw(url) as raw:
        head = b"POST /echo HTTP/1.1\r\n" + HOST
        if framing == "length":
            raw.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        else:
            raw.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            for start in range(0, len(body), 1000):
                raw.send(b"3e8\r\n" + body[start : start + 1000] + b"\r\n")
            raw.send(b"0\r\n\r\n")
        environ = json.loads(raw.response().body)
    assert environ["body"].encode("latin-1") == body
    assert environ["CONTENT_LENGTH"] == str(len(body))
    assert "HTTP_TRANSFER_ENCODING" not in environ


def test_a_stream_arrives_as_it_is_made(url: str, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    with Raw(url) as raw:
        raw.send(f"GET /stream?{go_on} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
        head = raw.until(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        assert raw.exactly(10) == b"5\r\nfirst\r\n"  # while the view waits
        go_on.touch()
        assert raw.exactly(14) == b"4\r\nlast\r\n0\r\n\r\n"


def test_a_stream_to_http_1_0_ends_with_the_connection(url: str, tmp_path: Path) -> None:
    with Raw(url) as raw:
        raw.send(f"GET /stream?{tmp_path} HTTP/1.0\r\n\r\n".encode())
        assert b"transfer-encoding" not in raw.until(b"\r\n\r\n")
        with pytest.raises(EOFError, match="firstlast"):
            raw.until(b"never")


@pytest.mark.parametrize("name", ["write", "write_only"])
def test_what_is_written_by_the_callable_comes_first(url: str, name: str) -> None:
    assert ask(url, f"/{name}").body in (b"one two three", b"only")


@pytest.mark.parametrize(
    ("name", "is_whole"), [("closing", True), ("closing_broken", False), ("big_stream", True)]
)
def test_what_the_application_returned_is_closed_once(url: str, name: str, is_whole: bool) -> None:
    path = f"/{name}/once"
    if is_whole:
        assert ask(url, path).status == 200
    else:
        with pytest.raises(EOFError):
            ask(url, path)
    eventually(lambda: closed(url, path))
    assert closed(url, path) == 1


def test_what_was_returned_is_closed_if_its_client_leaves(url: str) -> None:
    path = "/big_stream/left"
    with Raw(url, receive_buffer=4096) as raw:
        raw.send(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        raw.until(b"\r\n\r\n")
    eventually(lambda: closed(url, path))
    assert closed(url, path) == 1


def test_a_stream_ends_when_its_client_leaves(url: str) -> None:
    """Its thread would otherwise go on for as long as the view does."""
    path = "/endless/left"
    with Raw(url) as raw:
        raw.send(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        raw.until(b"piece")
    eventually(lambda: closed(url, path), within=5)
    assert closed(url, path) == 1


def closed(url: str, path: str) -> int:
    """How often what the view returned for this path was closed."""
    return counted(url).get(f"close {path}", 0)


@pytest.mark.parametrize("name", ["big", "big_stream"])
def test_a_big_response_arrives_whole(url: str, name: str) -> None:
    response = ask(url, f"/{name}")
    assert (response.status, len(response.body)) == (200, views.BIG)


@pytest.mark.parametrize(
    "name", ["body_of_a_head", "big", "big_stream", "write", "no_content", "echo", "nowhere"]
)
def test_the_response_to_head_has_no_body(url: str, name: str) -> None:
    with Raw(url) as raw:
        for _ in range(2):
            raw.send(f"HEAD /{name} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
            assert raw.response("HEAD").status in (200, 204)
        raw.send(b"GET /two_cookies HTTP/1.1\r\n" + HOST + b"\r\n")
        assert raw.response().header("x-latin") == "café"


def test_headers_of_the_same_name_stay_apart(url: str) -> None:
    headers = ask(url, "/two_cookies").headers
    assert [value for name, value in headers if name == "set-cookie"] == ["a=1", "b=2"]


@pytest.mark.parametrize("name", ["fail", "split"])
def test_a_view_that_fails_is_500_and_reveals_nothing(url: str, name: str) -> None:
    response = ask(url, f"/{name}")
    assert response.status == 500
    assert b"secret" not in response.body
    assert b"Traceback" not in response.body
    assert response.header("x-injected") is None
    assert response.header("x-content-type-options") == "nosniff"


def test_a_view_that_fails_is_logged_with_its_traceback(url: str, journal: Journal) -> None:
    ask(url, "/fail?query")
    text = journal.text()
    assert "secret of the view" in text
    lines = [json.loads(each) for each in text.splitlines() if '"event":"request"' in each]
    assert [line["status"] for line in lines if line["path"] == "/fail"] == [500]


def test_an_error_replaces_a_response_that_has_not_begun(url: str) -> None:
    response = ask(url, "/start_twice")
    assert (response.status, response.body) == (418, b"short and stout")


def test_a_stream_that_breaks_does_not_look_complete(url: str) -> None:
    with Raw(url) as raw:
        raw.send(b"GET /fail_midway HTTP/1.1\r\n" + HOST + b"\r\n")
        assert b" 200 " in raw.until(b"\r\n\r\n")
        with pytest.raises(EOFError) as caught:
            raw.until(b"0\r\n\r\n")
    assert caught.value.args[0] == b"5\r\nbegun\r\n"


def test_the_view_of_a_client_that_left_while_it_waited_is_not_called(
    url: str, tmp_path: Path
) -> None:
    go_on = tmp_path / "go-on"
    before = counted(url)
    with Raw(url) as first, Raw(url) as second, Raw(url) as stays:
        for raw in (first, second):
            raw.send(f"GET /hold?{go_on} HTTP/1.1\r\n".encode() + HOST + b"\r\n")
            pass_turns(url)
        with Raw(url) as leaves:
            leaves.send(b"GET /write HTTP/1.1\r\n" + HOST + b"\r\n")
            pass_turns(url)
        stays.send(b"GET /echo HTTP/1.1\r\n" + HOST + b"\r\n")
        pass_turns(url)
        go_on.touch()
        assert stays.response().status == first.response().status == 200
    after = counted(url)
    assert after["hold"] == before.get("hold", 0) + 2
    assert after.get("write", 0) == before.get("write", 0)


def pass_turns(url: str) -> None:
    """Have the loop answer something without a thread: it has seen all that came before."""
    for _ in range(3):
        with Raw(url) as raw:
            assert raw.send(b"GET / HTTP/1.1\r\n\r\n").response().status == 400
