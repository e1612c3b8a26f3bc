"""Whatever is sent: a clear 4xx, nothing stored, nothing logged that should not be."""

from __future__ import annotations

import json
from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from tests.passwords import PASSWORD

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
HUGE = "x" * 10_000_000


@pytest.fixture
def client(
    app: Flask,
    redis: Redis,
    database: psycopg.Connection,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[FlaskClient]:
    yield app.test_client()
    assert redis.dbsize() == 0
    assert database.execute("SELECT count(*) FROM accounts").fetchone() == (0,)
    assert PASSWORD not in "".join(capfd.readouterr())


@pytest.mark.parametrize("path", ["/api/v1/accounts", "/api/v1/sessions"])
@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"", {}, 415, "unsupported_media_type"),
        (b"username=bob", FORM, 415, "unsupported_media_type"),
        (b"", JSON, 400, "malformed"),
        (b"{", JSON, 400, "malformed"),
        (b"[1]", JSON, 400, "malformed"),
        (b'"bob"', JSON, 400, "malformed"),
        (b"[" * 10_000, JSON, 400, "malformed"),
        (b'{"username": "b\xff"}', JSON, 400, "malformed"),
        (b'{"username": "\\ud800b", "password": "correct horse"}', JSON, 400, "malformed"),
        (b'{"username": "bob", "password": "\\udc00 and 8 more"}', JSON, 400, "malformed"),
        (b'{"username": NaN}', JSON, 400, "malformed"),
        (b'{"username": ' + b"9" * 5000 + b"}", JSON, 400, "malformed"),
        ('{"username": "bob"}'.encode("utf-16"), JSON, 400, "malformed"),
        (b'{"username": 18446744073709551616}', JSON, 422, "invalid"),
        (b"{}", JSON, 422, "invalid"),
        (b'{"username": "bob"}', JSON, 422, "invalid"),
        (b'{"username": 1, "password": []}', JSON, 422, "invalid"),
        (b'{"username": null, "password": null}', JSON, 422, "invalid"),
        (json.dumps({"username": HUGE, "password": PASSWORD}).encode(), JSON, 413, "too_large"),
        (json.dumps({"username": "bob", "password": HUGE}).encode(), JSON, 413, "too_large"),
    ],
)
def test_a_bad_body_is_rejected(
    client: FlaskClient, path: str, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    response = client.post(path, data=body, headers=headers)
    answer = response.get_json(force=True)
    assert (response.status_code, answer["code"]) == (status, code)


@pytest.mark.parametrize(
    ("username", "password"),
    [
        ("b\0b", PASSWORD),
        ("x" * 5000, PASSWORD),
        ("bob", "nul\0" * 5),
        ("bob", "x" * 5000),
    ],
)
def test_bad_names_and_passwords_are_rejected(
    client: FlaskClient, username: str, password: str
) -> None:
    body = {"username": username, "password": password}
    assert client.post("/api/v1/accounts", json=body).status_code == 422
    assert client.post("/api/v1/sessions", json=body).status_code == 401


def test_remember_must_be_true_or_false(client: FlaskClient) -> None:
    body = {"username": "bob", "password": PASSWORD, "remember": "yes"}
    response = client.post("/api/v1/accounts", json=body)
    assert response.get_json(force=True)["errors"][0]["field"] == "remember"


@pytest.mark.parametrize("path", ["/register", "/login"])
@pytest.mark.parametrize(
    ("body", "statuses"),
    [
        (b"", (422, 401)),
        (b"username=bob", (422, 401)),
        (b"username=b%00b&password=correct+horse+battery", (422, 401)),
        (b"username=b%FFb&password=correct+horse+battery", (400, 400)),
        (b"username=bob&idempotency_key=%FF&next=%FF", (400, 400)),
        (b"username=bob" + b"&more=1" * 20, (400, 400)),
        (b"username=" + HUGE.encode(), (413, 413)),
    ],
    ids=["empty", "no password", "NUL", "invalid UTF-8", "invalid elsewhere", "fields", "10 MB"],
)
def test_a_bad_form_is_rejected(
    client: FlaskClient, path: str, body: bytes, statuses: tuple[int, int]
) -> None:
    response = client.post(path, data=body, headers=FORM)
    assert response.status_code == statuses[path == "/login"]


@pytest.mark.parametrize(
    "cookie",
    ["", "x", "x" * 54, "x" * 55, "x" * 56, "x" * 4000, "%00" * 10, "\xe9" * 55, '"' * 55, "a\\b"],
)
def test_an_invented_id_of_any_shape_signs_nobody_in(client: FlaskClient, cookie: str) -> None:
    response = client.get("/api/v1/sessions/current", headers={"Cookie": f"session={cookie}"})
    assert response.status_code == 401
    assert client.get("/", headers={"Cookie": f"session={cookie}"}).status_code == 200


@pytest.mark.parametrize("name", ["%00", "%FF", "a%2Fb", "x" * 5000, "%F0%9F%92%A9"])
def test_a_strange_name_is_no_server_error(client: FlaskClient, name: str) -> None:
    response = client.get(f"/api/v1/usernames/{name}")
    assert response.status_code in (200, 404)
    if response.status_code == 200:
        assert response.json["reason"] == "invalid"


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/api/v1/accounts", 405, "method_not_allowed"),
        ("GET", "/logout", 405, "method_not_allowed"),
    ],
)
def test_a_program_that_asks_for_what_does_not_exist_gets_a_problem_and_no_page(
    client: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    response = client.open(path, method=method, headers={"Accept": "*/*"})
    assert response.status_code == status
    assert response.get_json(force=True)["code"] == code
    if status == 405:
        assert response.headers["Allow"]


def test_an_unexpected_error_is_500_and_reveals_nothing(app: Flask) -> None:
    @app.get("/broken")
    def broken() -> str:
        raise RuntimeError("hunter2")

    app.testing = False
    response = app.test_client().get("/broken")
    assert response.status_code == 500
    assert response.get_json(force=True)["code"] == "internal"
    assert b"hunter2" not in response.data


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
@pytest.mark.parametrize("host", ["a" * 64, "..", "a" * 4000])
def test_a_host_that_cannot_exist_is_no_server_error(
    client: FlaskClient, host: str, accept: str
) -> None:
    """No page is shown, because it could not link to anything."""
    response = client.get("/", headers={"Host": host, "Accept": accept})
    assert response.status_code == 400
    assert response.get_json(force=True)["code"] == "malformed"
