"""Every response carries the security headers, whoever answers it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest
from flask import Flask, Response
from redis import Redis

from config import Settings
from service import create_app
from service.web.security_headers import HEADERS, ONLY_TLS
from service.web.services import services_of
from tests.front.raw import HOST, Raw
from tests.passwords import BOB
from tests.servers import gunicorn
from tests.ways import Way

HSTS = ONLY_TLS[0]
REQUESTS = [
    ("GET", "/"),
    ("GET", "/login"),
    ("POST", "/logout"),
    ("GET", "/account"),
    ("GET", "/nowhere"),
    ("DELETE", "/login"),
    ("OPTIONS", "/login"),
    ("GET", "/coatcheck/static/coatcheck.css"),
    ("GET", "/coatcheck/static/nothing.css"),
    ("GET", "/auth/verify"),
    ("HEAD", "/auth/verify"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/metrics"),
    ("GET", "/api/v1/sessions/current"),
    ("POST", "/api/v1/sessions"),
]


@pytest.mark.parametrize(("method", "path"), REQUESTS)
def test_every_response_has_each_header_once(way: Way, method: str, path: str) -> None:
    answer = way.client().request(method, path)
    for name, value in HEADERS:
        assert answer.headers.get_list(name) == [value]
    assert HSTS not in answer.headers  # without Secure cookies, there may be no TLS to insist on


def test_a_cross_site_rejection_and_a_taken_name_have_them_too(way: Way) -> None:
    crossing = {"Sec-Fetch-Site": "cross-site"}
    way.client().post("/api/v1/accounts", json=BOB)
    for headers, status in ((crossing, 403), ({}, 409)):
        answer = way.client().post("/api/v1/accounts", json=BOB, headers=headers)
        assert answer.status == status
        for name, value in HEADERS:
            assert answer.headers.get_list(name) == [value]


def test_the_policy_allows_nothing_unsafe() -> None:
    policy = dict(HEADERS)["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "*" not in policy
    for directive in ("default-src 'self'", "object-src 'none'", "base-uri 'none'"):
        assert directive in policy.split("; ")


def test_an_application_may_set_its_own(app: Flask) -> None:
    @app.get("/map")
    def view() -> Response:
        own = {
            "content-security-policy": "img-src *",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }
        return Response("a map", headers=own)

    headers = app.test_client().get("/map").headers
    assert headers.getlist("Content-Security-Policy") == ["img-src *"]
    assert headers.getlist("Cross-Origin-Resource-Policy") == ["cross-origin"]
    assert headers.getlist("Referrer-Policy") == ["same-origin"]


def test_in_production_flask_insists_on_tls(production: Settings) -> None:
    app = create_app(production)
    headers = app.test_client().get("/login", base_url="https://id.example.org").headers
    services_of(app).close()
    assert headers.getlist(HSTS) == [ONLY_TLS[1]]


@pytest.fixture(scope="module")
def production_url(environ: dict[str, str]) -> Iterator[str]:
    more = {
        "COATCHECK_ENV": "production",
        "COATCHECK_PUBLIC_URL": "https://id.example.org",
        "COATCHECK_ARGON2_MEMORY_KIB": "19456",
        "GUNICORN_CMD_ARGS": "-k tests.front.impatient.Worker --keep-alive 1",
    }
    with (
        TemporaryDirectory(prefix="coatcheck-headers-") as directory,
        gunicorn(Path(directory), environ | more, workers=1) as server,
    ):
        yield server.url


@pytest.mark.xdist_group("production")
@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /auth/verify HTTP/1.1\r\n" + HOST + b"\r\n", 401),
        (b"GET /login HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET /login HTTP/1.0\r\n\r\n", 200),
        (b"GET /coatcheck/static/ticket.svg HTTP/1.1\r\n" + HOST + b"\r\n", 200),
        (b"GET /nowhere HTTP/1.1\r\n" + HOST + b"\r\n", 404),
        (b"GET /login HTTP/1.1\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\n\r\n", 408),
        (b"GET /login HTTP/1.1\r\nHost:", 408),
        (b"POST /login HTTP/1.1\r\n" + HOST + b"Content-Length: 99999\r\n\r\n", 413),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n", 414),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 70 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ],
)
def test_in_production_everything_insists_on_tls_also_the_servers_own_rejections(
    production_url: str,
    database: psycopg.Connection,
    redis: Redis,
    request_: bytes,
    status: int,
) -> None:
    with Raw(production_url) as raw:
        response = raw.send(request_).response()
    assert response.status == status
    for name, value in (*HEADERS, ONLY_TLS):
        assert response.header(name) == value
