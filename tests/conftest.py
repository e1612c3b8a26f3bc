"""Real engines for the whole run; an empty store and an application for each test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask
from redis import Redis

import config
from config import Settings
from service import create_app
from service.embedded import Postgres as EmbeddedPostgres
from service.embedded import Redis as EmbeddedRedis
from service.storage.migrations import migrate


@pytest.fixture(scope="session")
def postgres_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("postgres"), durable=False) as engine:
        migrate(engine.url)
        yield engine


@pytest.fixture(scope="session")
def redis_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    with EmbeddedRedis(tmp_path_factory.mktemp("redis"), durable=False) as engine:
        yield engine


@pytest.fixture
def database(postgres_engine: EmbeddedPostgres) -> Iterator[psycopg.Connection]:
    """A connection of the test's own, to a database without accounts."""
    with psycopg.connect(postgres_engine.url, autocommit=True) as connection:
        connection.execute("TRUNCATE accounts")
        yield connection


@pytest.fixture
def redis(redis_engine: EmbeddedRedis) -> Iterator[Redis]:
    """A client of the test's own, to an empty Redis."""
    with Redis.from_url(redis_engine.url, protocol=2) as client:
        client.flushall()
        yield client


@pytest.fixture
def environ(
    database: psycopg.Connection,
    redis: Redis,
    postgres_engine: EmbeddedPostgres,
    redis_engine: EmbeddedRedis,
) -> dict[str, str]:
    """The variables with which the service runs on the test's engines."""
    return {
        "COATCHECK_ENV": "testing",
        "DATABASE_URL": postgres_engine.url,
        "REDIS_URL": redis_engine.url,
    }


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    return config.load(environ)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    app.testing = True
    yield app
    app.extensions["coatcheck"].postgres.close()


def pytest_configure() -> None:
    """What a developer has set must not leak into the tests."""
    for name in list(os.environ):
        if name.startswith("COATCHECK_") or name in {"DATABASE_URL", "REDIS_URL"}:
            del os.environ[name]
