"""gunicorn before it listens: where it would listen, and what stops it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis import Redis

from service.embedded import RedisEngine
from service.front.listening import (
    require_a_store_for_us_alone,
    require_a_store_that_keeps_sessions,
)
from tests.faults import frozen
from tests.ports import free_port
from tests.restricted_redis import RestrictedRedis
from tests.servers import ROOT, Server

PRODUCTION = {
    "COATCHECK_ENV": "production",
    "COATCHECK_PUBLIC_URL": "https://id.example.org",
    "COATCHECK_ARGON2_MEMORY_KIB": "19456",
}


def gunicorn(
    environ: dict[str, str], directory: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, which must be near."""
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", *arguments]
    return subprocess.run(
        [*command, "service:create_app()"],
        cwd=ROOT,
        env={**os.environ, **environ, "PROMETHEUS_MULTIPROC_DIR": str(directory)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def evicting(redis: Redis) -> Iterator[Redis]:
    redis.config_set("maxmemory-policy", "allkeys-lru")
    yield redis
    redis.config_set("maxmemory-policy", "noeviction")


def test_a_second_service_on_the_same_port_does_not_start(
    impatient: Server, environ: dict[str, str], tmp_path: Path
) -> None:
    address = urlsplit(impatient.url).netloc
    second = gunicorn(environ, tmp_path, "--bind", address)
    assert second.returncode == 1
    assert f"Error: Cannot listen on {address}: Address already in use" in second.stderr


@pytest.mark.parametrize(
    ("bind", "address"),
    [("", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("::1", "[::1]")],
)
def test_it_listens_where_it_is_told_to_and_otherwise_on_this_machine_only(
    environ: dict[str, str], tmp_path: Path, bind: str, address: str
) -> None:
    port = str(free_port())
    shown = gunicorn(
        environ | {"COATCHECK_BIND": bind, "PORT": port}, tmp_path, "--print-config"
    ).stdout
    [line] = [line for line in shown.splitlines() if line.startswith("bind ")]
    assert line.endswith(f"['{address}:{port}']")


@pytest.mark.parametrize(
    ("variables", "complaint"),
    [
        ({"COATCHECK_PUBLIC_URL": ""}, "COATCHECK_PUBLIC_URL is not set."),
        ({"COATCHECK_PUBLIC_URL": "http://id.example.org"}, "COATCHECK_PUBLIC_URL is not https."),
        ({"REDIS_URL": "redis://redis"}, "REDIS_URL is a network address without a password."),
    ],
)
def test_production_does_not_start_with_unsafe_settings_and_says_so_in_one_line(
    environ: dict[str, str], tmp_path: Path, variables: dict[str, str], complaint: str
) -> None:
    done = gunicorn(environ | PRODUCTION | variables, tmp_path)
    assert done.returncode == 1
    [line] = (done.stdout + done.stderr).splitlines()
    assert line.startswith(f"Error: {complaint}")


def test_production_does_not_start_on_a_store_that_evicts(
    environ: dict[str, str], tmp_path: Path, evicting: Redis
) -> None:
    bind = f"127.0.0.1:{free_port()}"
    done = gunicorn(environ | PRODUCTION, tmp_path, "--bind", bind)
    assert done.returncode == 1
    assert "Error: The Redis at REDIS_URL deletes sessions when it is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_that_keeps_sessions_stops_no_start(
    redis: Redis, redis_engine: RedisEngine
) -> None:
    require_a_store_that_keeps_sessions(redis_engine.url)


def test_a_store_that_is_down_or_hangs_stops_no_start(redis_engine: RedisEngine) -> None:
    started = time.monotonic()
    require_a_store_that_keeps_sessions("unix:///nowhere/redis.sock")
    with frozen(redis_engine):
        require_a_store_that_keeps_sessions(redis_engine.url)
    assert time.monotonic() - started < 1.1


def test_a_store_that_serves_strangers_stops_the_start(
    redis: Redis, redis_engine: RestrictedRedis
) -> None:
    with pytest.raises(RuntimeError, match="asks nobody for a password"):
        require_a_store_for_us_alone(redis_engine.service_url)
    with frozen(redis_engine):
        require_a_store_for_us_alone(redis_engine.service_url)
    redis.acl_setuser("default", enabled=False, reset_passwords=True)
    try:
        require_a_store_for_us_alone(redis_engine.service_url)
    finally:
        redis.acl_setuser("default", enabled=True, nopass=True)
