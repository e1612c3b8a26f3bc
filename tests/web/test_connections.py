"""How gunicorn's worker serves connections: each by itself, and with little ado."""

from __future__ import annotations

import itertools
import json
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import gevent
import pytest

from tests.conditions import eventually
from tests.servers import Server, gunicorn, is_ready

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MANY = 150  # more than there are greenlets kept for later
PROMPT = 10  # seconds; a worker that takes somebody to be connected still would wait for 20

GO_ON = "TEST_GO_ON"  # the path of a file

serial = itertools.count()
left_behind: ContextVar[str] = ContextVar("left_behind", default="")
everybody = threading.Barrier(MANY)


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Tells which greenlet answers, and what an earlier connection left in its context."""
    greenlet: Any = gevent.getcurrent()
    greenlet.number = getattr(greenlet, "number", None) or next(serial) + 1
    if environ["PATH_INFO"] == "/together":
        everybody.wait(30)
    if environ["PATH_INFO"] == "/wait":
        go_on = Path(os.environ[GO_ON])
        go_on.with_suffix(".asked").touch()
        eventually(go_on.exists, within=30)
    answer = {"greenlet": greenlet.number, "found": left_behind.get()}
    left_behind.set("something")
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]


@pytest.fixture
def server(tmp_path: Path, environ: dict[str, str]) -> Iterator[Server]:
    environ = {**environ, GO_ON: str(tmp_path / "go_on")}
    with gunicorn(tmp_path, environ, 1, f"{__name__}:application") as server:
        yield server


def visit(server: Server, path: str = "/") -> dict[str, Any]:
    """One request, on a connection of its own."""
    with urlopen(f"{server.url}{path}", timeout=40) as response:
        found: dict[str, Any] = json.load(response)
    return found


def crowd(server: Server) -> list[dict[str, Any]]:
    """Requests all of which are under way before one is answered."""
    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(lambda _: visit(server, "/together"), range(MANY)))


def test_connections_one_after_another_share_a_greenlet_and_nothing_else(server: Server) -> None:
    answers = [visit(server) for _ in range(20)]
    assert len({answer["greenlet"] for answer in answers}) == 1
    assert {answer["found"] for answer in answers} == {""}


def test_connections_at_the_same_time_have_greenlets_of_their_own(server: Server) -> None:
    for _ in range(3):
        answers = crowd(server)
        assert len({answer["greenlet"] for answer in answers}) == MANY
        assert {answer["found"] for answer in answers} == {""}


def test_a_worker_that_is_told_to_stop_answers_what_it_was_asked_and_ends(
    server: Server, tmp_path: Path
) -> None:
    go_on = tmp_path / "go_on"
    crowd(server)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(visit, server, "/wait")
        eventually(go_on.with_suffix(".asked").exists)
        server.master.terminate()
        eventually(lambda: not is_ready(server.url))
        go_on.touch()
        assert asked.result(10)["greenlet"] <= MANY
    server.master.wait(PROMPT)
    assert "Traceback" not in server.log.read_text(encoding="utf-8")
