"""What was found by attacking the front, each with the request that did it."""

from __future__ import annotations

import psutil
import pytest

from tests.faults import frozen
from tests.front.raw import ALIVE, HOST, Journal, Raw, request
from tests.passwords import PASSWORD
from tests.servers import Server
from tests.ways import BothWays, Way, fresh_name

PIPELINE = 300  # requests
CHUNKED = b"POST /healthz HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"


def test_a_body_of_very_many_tiny_chunks_is_rejected(url: str) -> None:
    """2,700 of them held the loop for 20 ms."""
    with Raw(url) as raw:
        assert raw.send(CHUNKED + b"1\r\na\r\n" * 2700 + b"0\r\n\r\n").response().status == 400
        assert raw.is_closed()


def test_a_response_that_announces_the_end_of_its_connection_ends_it(url: str) -> None:
    """The whole body had arrived, so the next request was answered all the same."""
    chunks = b"20000\r\n" + b"x" * 0x20000 + b"\r\n0\r\n\r\n"
    with Raw(url) as raw:
        response = raw.send(CHUNKED + chunks + ALIVE).response()
        assert (response.status, response.header("connection")) == (413, "close")
        assert raw.is_closed()


def test_an_idle_connection_is_closed_without_a_word_after_a_body(url: str) -> None:
    """A client took the 408 for the response to its next request."""
    head = b"POST /nowhere HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n"
    with Raw(url) as raw:
        raw.send(head + b"Expect: 100-continue\r\n\r\n")
        assert raw.response().status == 100
        raw.send(b"hello")  # which is read by itself, now that the head is
        assert raw.response().status == 404
        assert raw.is_closed()


@pytest.mark.parametrize(
    "target", [b"http://user:secret@x/auth/verify", b"/nowhere#token=secret", b"/nowhere?secret"]
)
def test_no_login_fragment_or_query_in_a_target_reaches_the_log(
    url: str, journal: Journal, target: bytes
) -> None:
    with Raw(url) as raw:
        raw.send(b"GET " + target + b" HTTP/1.1\r\n" + HOST + b"\r\n").response()
    assert len(journal.requests()) == 1
    assert "secret" not in journal.text()


def test_pipelined_checks_let_another_connection_take_its_turn(url: str, impatient: Server) -> None:
    """A pipeline of requests that wait for nothing kept the loop until it was through."""
    [worker] = impatient.workers()
    journal = Journal(url, impatient.log)
    with Raw(url) as greedy, Raw(url) as other:
        for raw in (greedy, other):
            assert raw.send(ALIVE).response().status == 200
        with frozen(psutil.Process(worker)):  # it finds both at once, the pipeline first
            greedy.send((b"GET /auth/verify HTTP/1.1\r\n" + HOST + b"\r\n") * PIPELINE)
            other.send(b"GET /api/v1/sessions/current HTTP/1.1\r\n" + HOST + b"\r\n")
        assert other.response().status == 401
        for _ in range(PIPELINE):
            assert greedy.response().status == 401
    paths = [line["path"] for line in journal.requests()]
    assert len(paths) == PIPELINE + 1
    assert paths.index("/api/v1/sessions/current") < PIPELINE / 2


def test_options_of_the_registration_does_not_say_which_names_exist(way: Way) -> None:
    name = fresh_name()
    way.client().register(name)
    body = {"username": name, "password": PASSWORD}
    assert way.client().request("OPTIONS", "/api/v1/accounts", json=body).status == 200


@pytest.mark.parametrize(
    ("header", "more"),
    [
        ("If-Modified-Since", {}),
        ("If-Unmodified-Since", {}),
        ("If-Range", {"Range": "bytes=0-9"}),
    ],
)
@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 2024 00:00:00 +99999999999999",
        "31 Dec 99999999999 23:59:59 GMT",
        '"31 Dec 99999999999 23:59:59 GMT"',
        "Mon, 01 Jan 0000 00:00:00 GMT",
    ],
)
def test_a_date_that_werkzeug_cannot_compute_is_ignored(
    way: Way, header: str, date: str, more: dict[str, str]
) -> None:
    answer = way.client().get("/coatcheck/static/coatcheck.css", headers={header: date, **more})
    assert answer.status == 200


@pytest.mark.parametrize("form", ["{}", "http://x{}"])
@pytest.mark.parametrize("start", ["/", "/%2F", "/%2f/", "//"])
@pytest.mark.parametrize(
    "path", ["/api/v1/sessions/current", "/metrics", "/auth/verify", "/healthz", "/login"]
)
def test_a_path_with_two_slashes_leads_nowhere(url: str, form: str, start: str, path: str) -> None:
    """Flask routed it like the path with one, past all that the loop rejects or has wait."""
    target = form.format(start + path)
    with Raw(url) as raw:
        assert raw.send(request(target.encode())).response().status == 404


@pytest.mark.parametrize("path", ["/%2Fmetrics", "/%2f/login", "/%2Fapi/v1/accounts"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_a_path_with_two_slashes_is_the_same_404_with_and_without_the_front(
    both_ways: BothWays, method: str, path: str
) -> None:
    assert both_ways.ask(method, path).status == 404


def test_a_part_of_what_has_not_changed_is_sent(way: Way) -> None:
    client, path = way.client(), "/coatcheck/static/coatcheck.css"
    whole = client.get(path)
    for validator in (whole.headers["ETag"], whole.headers["Last-Modified"]):
        headers = {"Range": "bytes=0-9", "If-Range": validator}
        part = client.get(path, headers=headers)
        assert (part.status, part.body) == (206, whole.body[:10])


@pytest.mark.parametrize("path", ["/coatcheck/static/coatcheck.css", "/login"])
def test_a_date_of_http_is_respected(url: str, path: str) -> None:
    future = b"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT\r\n"
    with Raw(url) as raw:
        raw.send(b"GET " + path.encode() + b" HTTP/1.1\r\n" + HOST + future + b"\r\n")
        assert raw.response().status == (304 if "static" in path else 200)
