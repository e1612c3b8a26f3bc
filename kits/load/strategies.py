"""Four strategies to register a name, each a Flask application with the same endpoint.

The first three are what tutorials publish, with the pool and the client that they use at their
defaults: one transaction for each request. They use the service's hasher, because the usual call
would block every other request for its duration. None of them bounds its queue.
"""

from __future__ import annotations

import atexit
import math
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from flask import Flask, request
from nacl.pwhash import argon2id
from psycopg.errors import UniqueViolation
from psycopg_pool import ConnectionPool
from redis import Redis

import config
from service import create_app
from service.credentials.hashing import PasswordHasher

# These variables name files: one grows by a byte with each hash, the other with each worker that
# is ready.
HASHES, READY = "LOAD_HASHES", "LOAD_READY"
CACHED = 3600  # seconds

TABLE = """
    CREATE TABLE accounts (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        username text COLLATE "C" NOT NULL UNIQUE,
        password_hash text NOT NULL
    )
"""
SELECT = "SELECT id FROM accounts WHERE username = %s"
INSERT = "INSERT INTO accounts (username, password_hash) VALUES (%s, %s) RETURNING id"

Register = Callable[[str, str], bool]


class Tutorial:
    """What the tutorials have in common."""

    def __init__(self) -> None:
        count_hashes()
        settings = config.load()
        self.pool = ConnectionPool(settings.database_url, open=True)
        atexit.register(self.pool.close)
        self.redis = Redis.from_url(settings.redis_url)
        self.hasher = PasswordHasher(
            settings.argon2_memory_kib,
            settings.argon2_time_cost,
            settings.hashing_threads,
            math.inf,
        )

    def exists(self, username: str) -> bool:
        with self.pool.connection() as connection:
            return connection.execute(SELECT, (username,)).fetchone() is not None

    def insert(self, username: str, password: str) -> bool:
        password_hash = self.hasher.hash(password)
        try:
            with self.pool.connection() as connection:
                connection.execute(INSERT, (username, password_hash))
        except UniqueViolation:
            return False
        return True


def select_then_insert() -> Flask:
    tutorial = Tutorial()

    def register(username: str, password: str) -> bool:
        return not tutorial.exists(username) and tutorial.insert(username, password)

    return application(register)


def insert_and_catch() -> Flask:
    tutorial = Tutorial()
    return application(tutorial.insert)


def redis_then_insert() -> Flask:
    tutorial = Tutorial()

    def register(username: str, password: str) -> bool:
        key = f"username:{username}"
        if tutorial.redis.get(key) is not None or not tutorial.insert(username, password):
            return False
        tutorial.redis.set(key, "1", ex=CACHED)
        return True

    return application(register)


def coatcheck() -> Flask:
    count_hashes()
    return ready(create_app())


def application(register: Register) -> Flask:
    """The endpoint, and the readiness check that the kit needs."""
    app = Flask(__name__)

    @app.post("/api/v1/accounts")
    def accounts() -> tuple[dict[str, str], int]:
        username = request.json["username"]
        if register(username, request.json["password"]):
            return {"username": username}, 201
        return {"error": "That username is taken."}, 409

    @app.get("/readyz")
    def readyz() -> dict[str, str]:
        return {"status": "ready"}

    return ready(app)


def ready(app: Flask) -> Flask:
    """Tell the kit that one more worker is ready."""
    with Path(os.environ[READY]).open("ab") as file:
        file.write(b".")
    return app


def count_hashes() -> None:
    """Count in the library, so that no application can forget to."""
    log = os.open(os.environ[HASHES], os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def count(*arguments: Any) -> Any:
            os.write(log, b".")
            return method(*arguments)

        return count

    for name in ("str", "verify"):
        setattr(argon2id, name, counted(getattr(argon2id, name)))
