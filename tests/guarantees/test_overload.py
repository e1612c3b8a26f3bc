"""G10 and G12: what waits for one part of the service holds up nothing else.

The event loop knows who is signed in from Redis alone, so neither a Postgres that hangs nor threads
that are all busy may reach it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil
import psycopg
import pytest
from redis import Redis

from service.embedded import PostgresEngine, RedisEngine
from tests.conditions import eventually
from tests.faults import frozen
from tests.passwords import PASSWORD
from tests.run import prepare_postgres
from tests.servers import Server, gunicorn

pytestmark = pytest.mark.xdist_group("overload")  # they share a Postgres and a server

VERIFY, CURRENT = "/auth/verify", "/api/v1/sessions/current"
THREADS = 2
AT_ONCE = 0.25  # seconds, on a machine that is busy with the attack itself
THREAD_WAIT = 0.5  # seconds that a request waits for a thread
SLACK = 0.5  # seconds
WAITING = 8  # clients for each kind of request that has to wait


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresEngine]:
    """One that may hang: the other is that of all tests."""
    directory = tmp_path_factory.mktemp("overload") / "postgres"
    prepare_postgres(directory)
    with PostgresEngine(directory, durable=False) as engine:
        yield engine


@pytest.fixture(scope="module")
def own_server(
    own_postgres: PostgresEngine,
    redis_engine: RedisEngine,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Server]:
    environ = {
        "COATCHECK_ENV": "testing",
        "COATCHECK_THROTTLING": "off",
        "COATCHECK_THREADS": str(THREADS),
        "COATCHECK_THREAD_WAIT": str(THREAD_WAIT),
        "DATABASE_URL": own_postgres.service_url,
        "REDIS_URL": redis_engine.url,
    }
    application = "tests.guarantees.user_app:app"
    directory = tmp_path_factory.mktemp("gunicorn")
    with gunicorn(directory, environ, workers=1, application=application) as server:
        yield server


@pytest.fixture
def server(own_server: Server, own_postgres: PostgresEngine, redis: Redis) -> Iterator[Server]:
    """The service with one worker, on empty stores; no request may end in 500."""
    with psycopg.connect(own_postgres.url, autocommit=True) as connection:
        connection.execute("TRUNCATE accounts CASCADE")
    workers, read = own_server.workers(), own_server.log.stat().st_size
    yield own_server
    assert own_server.workers() == workers
    assert "Traceback" not in own_server.log.read_text()[read:]


@pytest.fixture
def member(server: Server) -> Iterator[httpx.Client]:
    """A client that is signed in."""
    with server.client() as client:
        assert client.post("/api/v1/accounts", json=fresh()).status_code == 201
        assert client.get(VERIFY).status_code == 200
        yield client


def all_of(postgres: PostgresEngine) -> list[psutil.Process]:
    """The postmaster, first, and what serves its connections."""
    postmaster = psutil.Process(postgres.pid)
    return [postmaster, *postmaster.children(recursive=True)]


class Crowd:
    """Clients that send the same requests again and again, and the statuses they got."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.statuses: Counter[object] = Counter()

    def add(self, count: int, send: Callable[[httpx.Client], httpx.Response]) -> None:
        for _ in range(count):
            thread = threading.Thread(target=self._go_on, args=(send,))
            thread.start()
            self._threads.append(thread)

    def __enter__(self) -> Crowd:
        return self

    def end(self) -> None:
        """Send nothing more. What is still under way is not waited for."""
        self._over.set()

    def __exit__(self, *_: object) -> None:
        self.end()
        for thread in self._threads:
            thread.join(30)

    def _go_on(self, send: Callable[[httpx.Client], httpx.Response]) -> None:
        with self._server.client() as client:
            while not self._over.is_set():
                try:
                    response = send(client)
                except httpx.HTTPError as error:
                    self.statuses[repr(error)] += 1
                else:
                    self.statuses[response.status_code] += 1


def timed(client: httpx.Client, path: str) -> tuple[httpx.Response, float]:
    started = time.monotonic()
    response = client.get(path)
    return response, time.monotonic() - started


def check_rejection(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert 1 <= int(response.headers["Retry-After"]) <= 30
    assert "Set-Cookie" not in response.headers


def test_a_postgres_that_hangs_with_all_threads_busy_holds_up_no_session_check(
    server: Server, member: httpx.Client, own_postgres: PostgresEngine
) -> None:
    """G12: accepted requests keep their latency, and all others are rejected quickly."""
    login = {"username": "nobody-has-it", "password": PASSWORD}
    with Crowd(server) as crowd, frozen(*all_of(own_postgres)):
        crowd.add(WAITING, lambda client: client.post("/api/v1/sessions", json=login))
        crowd.add(WAITING, lambda client: client.post("/api/v1/accounts", json=fresh()))
        crowd.add(WAITING, lambda client: client.get("/api/v1/usernames/anybody"))
        crowd.add(1, lambda client: client.get("/"))
        eventually(lambda: member.get("/plain").status_code == 503)  # no thread is free
        took: list[float] = []
        for _ in range(100):
            for path in (VERIFY, CURRENT, "/healthz"):
                response, seconds = timed(member, path)
                assert response.status_code == 200
                took.append(seconds)
        assert sorted(took)[len(took) * 95 // 100] < AT_ONCE
        assert max(took) < AT_ONCE + SLACK
        for path in ("/plain", "/login") * 5:
            response, seconds = timed(member, path)
            assert seconds < THREAD_WAIT + SLACK
            if response.status_code != 200:
                check_rejection(response)
        eventually(lambda: crowd.statuses[503] > 3 * WAITING, within=20)
        crowd.end()
        assert set(crowd.statuses) <= {200, 503}  # 200 is the front page, when a thread was free
    eventually(lambda: register(server, fresh()) == 201)
    assert eventually(lambda: member.get("/plain").status_code == 200)


def fresh() -> dict[str, str]:
    return {"username": f"name-{time.monotonic_ns()}", "password": PASSWORD}


def register(server: Server, account: dict[str, str]) -> int:
    with server.client() as client:
        return client.post("/api/v1/accounts", json=account).status_code


def test_a_hot_duplicate_is_rejected_at_once_while_postgres_hangs(
    server: Server, member: httpx.Client, own_postgres: PostgresEngine
) -> None:
    """G12: what needs no Postgres does not wait for it."""
    taken = {"username": "taken", "password": PASSWORD}
    assert register(server, taken) == 201
    with Crowd(server) as crowd, frozen(*all_of(own_postgres)):
        crowd.add(WAITING, lambda client: client.post("/api/v1/accounts", json=fresh()))
        eventually(lambda: crowd.statuses[503])
        for _ in range(50):
            started = time.monotonic()
            response = member.post("/api/v1/accounts", json=taken)
            assert response.status_code == 409
            assert time.monotonic() - started < AT_ONCE + SLACK
        crowd.end()
        assert set(crowd.statuses) == {503}


def test_without_postgres_sessions_go_on_and_what_needs_it_is_503(
    server: Server, member: httpx.Client, own_postgres: PostgresEngine
) -> None:
    """G12: no request gets 500."""
    own_postgres.kill()
    try:
        for path in (VERIFY, CURRENT, "/healthz", "/plain", "/login"):
            assert member.get(path).status_code == 200
        login = {"username": "nobody-has-it", "password": PASSWORD}
        with ThreadPoolExecutor() as pool:  # each waits for seconds
            paths = ("/api/v1/sessions", "/api/v1/accounts")
            for response in pool.map(lambda path: member.post(path, json=login), paths):
                check_rejection(response)
        assert member.delete(CURRENT).status_code == 204
        assert member.get(VERIFY).status_code == 401
    finally:
        own_postgres.start()
    eventually(lambda: register(server, fresh()) == 201)


def test_while_redis_hangs_a_check_is_503_and_leaves_the_cookie_alone(
    server: Server, member: httpx.Client, redis_engine: RedisEngine
) -> None:
    """G10: what needs a session gets 503 in time, and everything else is served."""
    with frozen(redis_engine):
        for path in (VERIFY, CURRENT) * 2:
            response, seconds = timed(member, path)
            check_rejection(response)
            assert seconds < 1.0 + SLACK
        response, seconds = timed(member, "/note")  # of the user, who looks at the session
        check_rejection(response)
        assert seconds < 1.0 + SLACK
        response, seconds = timed(member, "/plain")  # of the user, who does not
        assert (response.status_code, response.text) == (200, "plain")
        assert seconds < 1.0 + SLACK
        with server.client() as stranger:
            assert stranger.get("/login").status_code == 200
        assert member.get("/healthz").status_code == 200
    eventually(lambda: member.get(VERIFY).status_code == 200)
    assert member.get("/note").status_code == 200


def test_a_crowd_of_checks_while_redis_hangs_holds_up_no_page(
    server: Server, member: httpx.Client, redis_engine: RedisEngine
) -> None:
    """G10: requests that need no session are served. They wait on the loop, and not in the
    threads."""
    cookies = dict(member.cookies)
    with Crowd(server) as crowd, frozen(redis_engine):
        crowd.add(WAITING, lambda client: client.get(VERIFY, headers=of(cookies)))
        crowd.add(WAITING, lambda client: client.get("/note", headers=of(cookies)))
        eventually(lambda: crowd.statuses[503] >= WAITING)
        with server.client() as stranger:
            for _ in range(20):
                response, seconds = timed(stranger, "/login")
                assert response.status_code == 200
                assert seconds < AT_ONCE + SLACK
        crowd.end()
        assert set(crowd.statuses) == {503}


def of(cookies: dict[str, str]) -> dict[str, str]:
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
