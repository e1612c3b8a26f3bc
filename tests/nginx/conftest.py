"""One nginx for all the tests here; behind it Coatcheck and another application."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg
import pytest
from redis import Redis

from service.embedded import RedisEngine
from tests.browsers import AS_BROWSER
from tests.nginx.servers import APP, nginx, running
from tests.ports import free_port
from tests.servers import NO_TLS, gunicorn


@pytest.fixture(scope="module")
def program() -> str:
    """The path of nginx. Without it these tests are skipped, or fail in CI."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        message = "no nginx: the tests of the example do not run (Debian: nginx)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    with TemporaryDirectory(prefix="coatcheck-nginx-") as path:
        yield Path(path)


@pytest.fixture(scope="module")
def own_redis(place: Path) -> Iterator[RedisEngine]:
    """One that can be stopped."""
    with RedisEngine(place / "redis", durable=False) as engine:
        yield engine


@pytest.fixture(scope="module")
def coatcheck(place: Path, environ: dict[str, str], own_redis: RedisEngine) -> Iterator[int]:
    """The port of Coatcheck, as the example's first lines want it."""
    more = {
        "REDIS_URL": own_redis.url,
        "COATCHECK_PUBLIC_URL": "https://id.example.org",
        "COATCHECK_TRUSTED_PROXIES": "1",
    }
    with gunicorn(place, environ | more, workers=2) as server:
        yield httpx.URL(server.url).port


@pytest.fixture(scope="module")
def greeter(place: Path) -> Iterator[int]:
    """The port of the application."""
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--bind", f"127.0.0.1:{port}"]
    command += ["--no-control-socket", "greeter:application"]
    with running(command, place / "greeter.log", port):
        yield port


@pytest.fixture(scope="module")
def proxy(program: str, place: Path, coatcheck: int, greeter: int) -> Iterator[str]:
    """Where nginx answers."""
    with nginx(program, place / "nginx", coatcheck, greeter) as url:
        yield url


@pytest.fixture
def visitor(
    proxy: str, database: psycopg.Connection, own_redis: RedisEngine
) -> Iterator[httpx.Client]:
    """A browser; no account exists yet."""
    with Redis.from_url(own_redis.url, protocol=2) as redis:
        redis.flushall()
    headers = {**AS_BROWSER, **APP}
    with httpx.Client(base_url=proxy, headers=headers, verify=NO_TLS) as client:
        yield client
