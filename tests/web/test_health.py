from __future__ import annotations

import pytest
from flask import Flask

from config import Settings
from service import create_app

NO_POSTGRES = {"database_url": "postgresql://nobody@localhost:1/nowhere"}
NO_SESSIONS = {"redis_url": "unix:///nowhere/redis.sock"}
NO_CACHE = {"cache_redis_url": "unix:///nowhere/redis.sock"}


def test_with_everything_up_it_is_ready(app: Flask) -> None:
    response = app.test_client().get("/readyz")
    assert response.status_code == 200
    assert response.json == {
        "status": "ready",
        "parts": {"postgres": "ok", "sessions": "ok", "username_cache": "ok"},
    }


@pytest.mark.parametrize(
    ("down", "part", "status", "word"),
    [
        (NO_POSTGRES, "postgres", 503, "unavailable"),
        (NO_SESSIONS, "sessions", 503, "unavailable"),
        (NO_CACHE, "username_cache", 200, "degraded"),
    ],
)
def test_what_is_down_is_named_and_the_process_is_alive_all_the_same(
    settings: Settings, down: dict[str, str], part: str, status: int, word: str
) -> None:
    app = create_app(settings.model_copy(update=down))
    client = app.test_client()
    response = client.get("/readyz")
    alive = client.get("/healthz")
    app.extensions["coatcheck"].postgres.close()
    assert (response.status_code, response.json["status"]) == (status, word)
    assert [name for name, state in response.json["parts"].items() if state != "ok"] == [part]
    assert alive.status_code == 200
