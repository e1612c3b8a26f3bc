"""The two ways to the same responses: Flask by itself, and Flask behind the front in gunicorn.

A test that takes `way` runs through both, so that the routes that the front answers early cannot
drift from the views that answer them under any other server.
"""

from __future__ import annotations

import itertools
import json as jsons
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import httpx
import psycopg
import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from tests.passwords import PASSWORD
from tests.servers import NO_TLS, gunicorn

# Of the server and of the connection; a response has the same meaning without them.
OF_THE_SERVER = {"server", "date", "connection", "content-length", "transfer-encoding"}

_numbers = itertools.count(time.time_ns() % 1_000_000)


def fresh_name(stem: str = "Bob") -> str:
    """A name that no other test has registered: a worker remembers for a second what is taken."""
    return f"{stem}-{next(_numbers)}"


class Answer(NamedTuple):
    """What came back, whichever way."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def json(self) -> Any:
        return jsons.loads(self.body)

    @property
    def meaning(self) -> tuple[int, list[tuple[str, str]], bytes]:
        """Everything but what the server adds, in an order that two servers share."""
        headers = [
            # Flask lists methods in the order of a set, which each process has for itself.
            (name, ", ".join(sorted(value.split(", "))) if name == "allow" else value)
            for name, value in self.headers.multi_items()
            if name not in OF_THE_SERVER
        ]
        return self.status, sorted(headers), self.body


class Client:
    """A client with a cookie of its own."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self.cookie: str | None = None

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        content: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        sent = dict(headers or {})
        if json is not None:
            content = jsons.dumps(json).encode()
            sent.setdefault("Content-Type", "application/json")
        if self.cookie is not None:
            sent.setdefault("Cookie", f"session={self.cookie}")
        answer = self._way.send(method, path, sent, content)
        for value in answer.headers.get_list("set-cookie"):
            name, _, rest = value.partition("=")
            if name == "session":
                self.cookie = rest.partition(";")[0] or None
        return answer

    def get(self, path: str, **more: Any) -> Answer:
        return self.request("GET", path, **more)

    def head(self, path: str, **more: Any) -> Answer:
        return self.request("HEAD", path, **more)

    def post(self, path: str, **more: Any) -> Answer:
        return self.request("POST", path, **more)

    def delete(self, path: str, **more: Any) -> Answer:
        return self.request("DELETE", path, **more)

    def patch(self, path: str, **more: Any) -> Answer:
        return self.request("PATCH", path, **more)

    def register(self, username: str | None = None) -> Any:
        """A new account, signed in; what the service said."""
        body = {"username": username or fresh_name(), "password": PASSWORD}
        answer = self.post("/api/v1/accounts", json=body)
        assert answer.status == 201, answer
        return answer.json


class Way:
    """Sends requests."""

    def send(
        self, method: str, path: str, headers: dict[str, str], content: bytes | None
    ) -> Answer:
        raise NotImplementedError

    def client(self) -> Client:
        return Client(self)

    def count(self, metric: str, **labels: str) -> float:
        """What the service has counted so far."""
        text = self.client().get("/metrics").body.decode()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == metric and labels.items() <= sample.labels.items()
        )


class FlaskAlone(Way):
    """Flask's own test client: what any WSGI server would serve."""

    def __init__(self, app: Flask) -> None:
        self.app = app

    def send(
        self, method: str, path: str, headers: dict[str, str], content: bytes | None
    ) -> Answer:
        client = self.app.test_client(use_cookies=False)
        response = client.open(path, method=method, headers=headers, data=content)
        found = Answer(response.status_code, httpx.Headers(list(response.headers)), response.data)
        response.close()  # it may be a file
        return found


class BehindTheFront(Way):
    """A real gunicorn with one worker."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=10, headers={}, verify=NO_TLS)

    def send(
        self, method: str, path: str, headers: dict[str, str], content: bytes | None
    ) -> Answer:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        response = self._http.request(method, path, headers=raw, content=content)
        self._http.cookies.clear()
        return Answer(response.status_code, response.headers, response.content)

    def close(self) -> None:
        self._http.close()


@pytest.fixture(scope="session")
def front_url(environ: dict[str, str]) -> Iterator[str]:
    with (
        TemporaryDirectory(prefix="coatcheck-front-") as directory,
        gunicorn(Path(directory), environ, workers=1) as server,
    ):
        yield server.url


@pytest.fixture
def behind_the_front(
    front_url: str, database: psycopg.Connection, redis: Redis
) -> Iterator[BehindTheFront]:
    way = BehindTheFront(front_url)
    yield way
    way.close()


@pytest.fixture
def flask_alone(app: Flask) -> FlaskAlone:
    return FlaskAlone(app)


@pytest.fixture(params=["flask_alone", "behind_the_front"])
def way(request: pytest.FixtureRequest) -> Way:
    """The test runs twice: through Flask alone, and through the front."""
    found: Way = request.getfixturevalue(request.param)
    return found


class BothWays(NamedTuple):
    """The two ways side by side, on the same stores."""

    flask: FlaskAlone
    front: BehindTheFront

    def ask(self, method: str, path: str, **more: Any) -> Answer:
        """What both answer; fails where they differ."""
        alone = Client(self.flask).request(method, path, **more)
        behind = Client(self.front).request(method, path, **more)
        assert behind.meaning == alone.meaning, f"{behind.meaning} != {alone.meaning}"
        if method != "HEAD" and "content-length" in alone.headers:
            assert behind.headers["content-length"] == alone.headers["content-length"]
        return behind


@pytest.fixture
def both_ways(flask_alone: FlaskAlone, behind_the_front: BehindTheFront) -> BothWays:
    return BothWays(flask_alone, behind_the_front)
