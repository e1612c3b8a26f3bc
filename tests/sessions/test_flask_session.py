"""`flask.session` in views that a user adds to the application."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from redis import Redis

COOKIE = "session"


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    @app.get("/untouched")
    def untouched() -> str:
        return "nothing of the session was asked"

    @app.get("/get/<key>")
    def get(key: str) -> dict[str, Any]:
        return {"value": session.get(key), "new": session.new}

    @app.post("/set/<key>/<value>")
    def set_(key: str, value: str) -> str:
        session[key] = value
        return "ok"

    @app.post("/append/<value>")
    def append(value: str) -> str:
        session.setdefault("list", []).append(value)
        return "ok"

    @app.post("/pop/<key>")
    def pop(key: str) -> str:
        session.pop(key)
        return "ok"

    @app.post("/clear")
    def clear() -> str:
        session.clear()
        return "ok"

    @app.post("/permanent")
    def permanent() -> str:
        session.permanent = True
        return "ok"

    @app.post("/unstorable")
    def unstorable() -> str:
        session["thing"] = object()
        return "ok"

    @app.post("/regenerate")
    def regenerate() -> str:
        session["colour"] = "blue"
        app.session_interface.regenerate(session)
        return session["colour"]

    @app.post("/regenerate-and-restore")
    def regenerate_and_restore() -> str:
        before = session["colour"]
        session["colour"] = "blue"
        app.session_interface.regenerate(session)
        session["colour"] = before
        return "ok"

    client = app.test_client()

    @app.post("/overtaken")
    def overtaken() -> str:
        session["slow"] = "written last"
        client.post("/set/quick/meanwhile")
        return "ok"

    @app.post("/outlived")
    def outlived() -> str:
        session["colour"] = "blue"
        assert client.delete("/api/v1/sessions/current").status_code == 204
        return "ok"

    return client


def value(client: FlaskClient, key: str) -> Any:
    return client.get(f"/get/{key}").json["value"]


def test_what_one_request_sets_the_next_one_reads(client: FlaskClient) -> None:
    client.post("/set/colour/red")
    assert value(client, "colour") == "red"


def test_a_change_inside_a_nested_value_is_saved_without_modified(client: FlaskClient) -> None:
    client.post("/append/a")
    client.post("/append/b")
    assert value(client, "list") == ["a", "b"]


def test_a_removed_key_is_gone(client: FlaskClient) -> None:
    client.post("/set/colour/red")
    client.post("/set/size/big")
    client.post("/pop/colour")
    assert value(client, "colour") is None
    assert value(client, "size") == "big"


def test_a_session_is_new_until_it_is_stored(client: FlaskClient) -> None:
    assert client.get("/get/colour").json["new"]
    client.post("/set/colour/red")
    assert not client.get("/get/colour").json["new"]


def test_reading_an_empty_session_stores_nothing_and_sets_no_cookie(
    client: FlaskClient, redis: Redis
) -> None:
    response = client.get("/get/colour")
    assert "Set-Cookie" not in response.headers
    assert redis.dbsize() == 0


def test_a_view_that_does_not_touch_the_session_sends_redis_nothing(
    client: FlaskClient, redis: Redis
) -> None:
    """G11: only a view that looks at its session costs a read."""
    client.post("/set/colour/red")
    redis.config_resetstat()
    for _ in range(10):
        response = client.get("/untouched")
    assert set(redis.info("commandstats")) <= {"cmdstat_config|resetstat", "cmdstat_config"}
    assert "Vary" not in response.headers


def test_an_answer_that_depends_on_the_session_is_kept_by_no_cache(client: FlaskClient) -> None:
    response = client.get("/get/colour")
    assert response.headers["Vary"] == "Cookie"
    assert response.headers["Cache-Control"] == "no-store"


def test_an_invented_id_is_never_adopted(client: FlaskClient, redis: Redis) -> None:
    """G8: the server issues every id itself."""
    invented = "x" * 55
    client.set_cookie(COOKIE, invented)
    client.post("/set/colour/red")
    issued = client.get_cookie(COOKIE)
    assert issued is not None
    assert issued.value != invented
    client.set_cookie(COOKIE, invented)
    assert value(client, "colour") is None


def test_the_cookie_holds_the_id_and_nothing_else(client: FlaskClient) -> None:
    response = client.post("/set/colour/red")
    name, _, attributes = response.headers["Set-Cookie"].partition("=")
    assert name == COOKIE
    assert len(attributes.split(";")[0]) == 55
    assert {part.strip() for part in attributes.split(";")[1:]} == {
        "HttpOnly",
        "Path=/",
        "SameSite=Lax",
    }


def test_a_permanent_session_has_a_cookie_that_outlives_the_browser(client: FlaskClient) -> None:
    client.post("/set/colour/red")
    assert "Expires=" in client.post("/permanent").headers["Set-Cookie"]


def test_values_are_stored_as_msgpack_one_field_each(client: FlaskClient, redis: Redis) -> None:
    client.post("/set/colour/red")
    (key,) = redis.keys()
    fields = redis.hgetall(key)
    assert fields[b":colour"] == msgspec.msgpack.encode("red")


def test_a_pickle_planted_in_redis_is_never_executed(
    client: FlaskClient, redis: Redis, tmp_path: Any
) -> None:
    """G8: nothing read from Redis is unpickled."""
    client.post("/set/colour/red")
    (key,) = redis.keys()
    witness = tmp_path / "executed"
    planted = b"cposix\nsystem\n(Vtouch " + str(witness).encode() + b"\ntR."
    redis.hset(key, ":colour", planted)
    assert value(client, "colour") is None
    assert not witness.exists()


def test_a_value_that_cannot_be_stored_is_an_error_that_names_it(
    client: FlaskClient, redis: Redis
) -> None:
    with pytest.raises(TypeError, match="thing"):
        client.post("/unstorable")
    assert redis.dbsize() == 0


def test_session_transaction_of_the_test_client_works(client: FlaskClient) -> None:
    with client.session_transaction() as transaction:
        transaction["colour"] = "red"
    assert value(client, "colour") == "red"


def test_two_sessions_do_not_see_each_other(app: Flask, client: FlaskClient) -> None:
    client.post("/set/colour/red")
    assert value(app.test_client(), "colour") is None


def test_writes_of_different_keys_by_two_requests_at_a_time_both_hold(
    client: FlaskClient,
) -> None:
    """G7: no lost update."""
    client.post("/set/first/0")
    client.post("/overtaken")
    assert value(client, "slow") == "written last"
    assert value(client, "quick") == "meanwhile"


def test_a_request_that_outlives_its_session_does_not_bring_it_back(
    client: FlaskClient, redis: Redis
) -> None:
    """G6: what the request wrote is dropped."""
    client.post("/set/colour/red")
    response = client.post("/outlived")
    assert response.status_code == 200
    assert "Set-Cookie" not in response.headers
    assert redis.dbsize() == 0


def test_regenerate_gives_a_new_id_and_keeps_what_the_session_holds(
    client: FlaskClient, app: Flask
) -> None:
    client.post("/set/size/big")
    old = client.get_cookie(COOKIE)
    assert client.post("/regenerate").text == "blue"
    new = client.get_cookie(COOKIE)
    assert old is not None
    assert new is not None
    assert new.value != old.value
    assert (value(client, "size"), value(client, "colour")) == ("big", "blue")
    client.set_cookie(COOKIE, old.value)
    assert value(client, "size") is None


def test_what_follows_regenerate_in_the_same_view_is_compared_with_what_was_saved(
    client: FlaskClient,
) -> None:
    client.post("/set/colour/red")
    client.post("/regenerate-and-restore")
    assert value(client, "colour") == "red"
