"""No connection is shared over a fork, whatever an application has done before it."""

from __future__ import annotations

import http.client
import itertools
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conditions import eventually
from tests.passwords import PASSWORD
from tests.redis_engines import HOST, Group, Node, free_port
from tests.servers import Server, gunicorn, is_ready

APPLICATION = "tests.storage.connected_app:app"
PEOPLE, VISITS, WORKERS, STORES = 8, 10, 2, 2
LISTENING = "0A"  # in /proc/net/tcp

Answer = tuple[int, dict[str, Any], str]


@pytest.fixture(scope="module")
def one_server(directory: Path) -> Iterator[Node]:
    port = free_port()
    node = Node(directory / "one", port, ["--port", str(port), "--bind", HOST, "--save", ""])
    node.start()
    yield node
    node.kill()


@pytest.fixture(params=["one_server", "sentinel_engine", "cluster_engine"])
def redis_url(request: pytest.FixtureRequest) -> str:
    found: Node | Group = request.getfixturevalue(request.param)
    return found.url if isinstance(found, Group) else f"redis://{HOST}:{found.port}"


@pytest.fixture(params=["", "--preload"])
def server(
    request: pytest.FixtureRequest,
    redis_url: str,
    environ: dict[str, str],
    database: psycopg.Connection,
    tmp_path: Path,
) -> Iterator[Server]:
    more = {"REDIS_URL": redis_url, "GUNICORN_CMD_ARGS": request.param}
    with gunicorn(tmp_path, {**environ, **more}, WORKERS, APPLICATION) as server:
        yield server


def test_each_client_gets_its_own_answers_and_no_socket_belongs_to_two_processes(
    server: Server,
) -> None:
    people = [register(server, f"{server.master.pid}-{number}") for number in range(PEOPLE)]
    with ThreadPoolExecutor(PEOPLE) as pool:
        answers = sum(pool.map(lambda person: visits(server, *person), people), Counter[object]())
    assert answers == {(200, True): PEOPLE * VISITS}
    assert shared_sockets(server) == set()

    before = server.workers()
    os.kill(min(before), signal.SIGKILL)  # its successor is forked from an older master
    (successor,) = eventually(lambda: server.workers() - before)
    eventually(lambda: is_ready(server.url) and len(sockets(successor)) >= STORES)
    assert shared_sockets(server) == set()


def register(server: Server, name: str) -> tuple[str, str]:
    """The name, and the cookie."""
    body = {"username": name, "password": PASSWORD}
    status, _, cookie = ask(server, "POST", "/accounts", body=body)
    assert status == 201
    return name, cookie.partition(";")[0]


def visits(server: Server, name: str, cookie: str) -> Counter[object]:
    """How often each status came, and whether it came with the account of the client."""
    answers: Counter[object] = Counter()
    for _ in range(VISITS):
        status, body, _ = ask(server, "GET", "/sessions/current", cookie)
        answers[status, status == 200 and body["account"]["username"] == name] += 1
    return answers


def ask(server: Server, method: str, path: str, cookie: str = "", body: object = None) -> Answer:
    """On a connection of its own, so that the kernel picks a worker."""
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=10)
    headers = {"Cookie": cookie, "Content-Type": "application/json"}
    try:
        connection.request(method, f"/api/v1{path}", json.dumps(body) if body else None, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers["Set-Cookie"] or ""
    finally:
        connection.close()


def shared_sockets(server: Server) -> set[str]:
    """Sockets that two processes have open, except the one that listens for requests."""
    pairs = itertools.combinations([server.master.pid, *server.workers()], 2)
    return {each for one, other in pairs for each in sockets(one) & sockets(other)}


def sockets(pid: int) -> set[str]:
    """The kernel's names for the sockets that a process has open."""
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    listening = {f"socket:[{row[9]}]" for row in rows if row[3] == LISTENING}
    targets = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            targets.add(str(file.readlink()))
    return {target for target in targets if target.startswith("socket:")} - listening
