"""Clients that send or read slowly, or never: a real gunicorn ends each connection in time."""

from __future__ import annotations

import os
import resource
import select
import time
from contextlib import ExitStack

import psutil
import pytest

from service.front.limited_connection import LINGER
from tests.conditions import eventually
from tests.front.impatient import LIMIT
from tests.front.raw import ALIVE, HOST, Journal, Raw, alive, request
from tests.front.rejections import CHUNKED, HEAD, REGISTER, check_rejection
from tests.servers import Server

SLACK = 1.5  # seconds that a busy machine may add
MOST_GROWTH = 32 * 1024 * 1024  # bytes of a worker under attack


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
    """A response without a body is sent though the one before it is unread."""
    growth = Growth(impatient)
    sent = 0
    with Raw(url, receive_buffer=4096) as raw, impatient.log.open("rb") as log:
        log.seek(0, os.SEEK_END)
        served = 0

        def is_served() -> bool:
            nonlocal served
            served += log.read().count(b"\n")  # no other client sends a request
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


def test_a_thousand_idle_connections_hold_up_no_request_and_are_closed_in_time(
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
