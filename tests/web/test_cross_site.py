from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from service import create_app
from service.web.services import services_of
from tests.passwords import BOB
from tests.ways import Way

PUBLIC = "https://id.example.org"
ROUTES = [
    ("POST", "/login"),
    ("POST", "/logout"),
    ("POST", "/register"),
    ("POST", "/api/v1/accounts"),
    ("POST", "/api/v1/sessions"),
    ("DELETE", "/api/v1/sessions/current"),
    ("POST", "/auth/verify"),
    ("POST", "/healthz"),
    ("PUT", "/coatcheck/static/coatcheck.css"),
    ("PATCH", "/nowhere"),
]


def with_a_view(app: Flask) -> Flask:
    @app.post("/added-by-a-user")
    def added() -> str:
        return "done"

    return app


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return with_a_view(app).test_client()


@pytest.fixture
def published(settings: Settings) -> Iterator[FlaskClient]:
    """A client of a service that knows its public URL."""
    app = create_app(settings.model_copy(update={"public_url": PUBLIC, "log_format": "json"}))
    yield with_a_view(app).test_client()
    services_of(app).close()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "same-origin, cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "none", "Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "https://localhost"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "http://localhost/"},
        {"Origin": "http://user@localhost"},
        {"Origin": "localhost"},
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": "null", "Host": "with_underscore"},
        {"Origin": "null", "Host": "null"},
        {"Origin": "http://", "Host": "with_underscore"},
        {"Origin": "http://", "Host": ""},
        {"Origin": "http://[", "Host": "["},
    ],
)
@pytest.mark.parametrize(("method", "path"), [*ROUTES, ("POST", "/added-by-a-user")])
def test_an_unsafe_request_from_another_site_is_rejected_on_every_path(
    client: FlaskClient, method: str, path: str, headers: dict[str, str]
) -> None:
    response = client.open(path, method=method, headers=headers)
    assert response.status_code == 403
    assert response.get_json(force=True)["code"] == "cross_site"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "same-site"}]
)
def test_the_front_answers_none_of_them_by_itself(
    way: Way, method: str, path: str, headers: dict[str, str]
) -> None:
    """Not even where it rejects a registration because the name is taken."""
    way.client().post("/api/v1/accounts", json=BOB)
    answer = way.client().request(method, path, json=BOB, headers=headers)
    assert (answer.status, answer.json["code"]) == (403, "cross_site")


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost", "Host": "localhost:80"},
        {"Origin": "http://127.0.0.1:8000", "Host": "127.0.0.1:8000"},
        {"Origin": "http://[::1]:8000", "Host": "[::1]:8000"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "http://with_underscore", "Host": "with_underscore"},
        {},
    ],
)
def test_an_unsafe_request_from_this_site_or_from_no_browser_is_served(
    client: FlaskClient, headers: dict[str, str]
) -> None:
    assert client.post("/added-by-a-user", headers=headers).data == b"done"


def test_a_link_from_another_site_works(client: FlaskClient) -> None:
    assert client.get("/login", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


@pytest.mark.parametrize("host", ["id.example.org", "localhost", "10.0.0.7:8000"])
@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (PUBLIC, 200),
        ("http://id.example.org", 403),
        ("https://id.example.org:8443", 403),
        ("https://app.example.org", 403),
        ("http://localhost", 403),
    ],
)
def test_with_a_public_url_the_origin_must_be_that_one_whatever_host_the_request_names(
    published: FlaskClient, host: str, origin: str, status: int
) -> None:
    headers = {"Origin": origin, "Host": host}
    assert published.post("/added-by-a-user", headers=headers).status_code == status


def test_a_browser_that_disagrees_about_the_public_url_is_logged_for_the_operator(
    published: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    headers = {"Origin": "https://sso.example.org\x1b[31m", "Sec-Fetch-Site": "same-origin"}
    assert published.post("/login", headers=headers).status_code == 403
    [line] = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert (line["event"], line["ours"]) == ("origin_is_not_the_public_url", PUBLIC)
    assert "sso.example.org\\x1b" in line["origin"]


def test_behind_a_proxy_the_scheme_is_what_the_proxy_says(settings: Settings) -> None:
    app = with_a_view(create_app(settings.model_copy(update={"trusted_proxies": 1})))
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "id.example.org"}
    for origin, status in (
        (PUBLIC, 200),
        ("http://id.example.org", 403),
        ("http://localhost", 403),
    ):
        sent = headers | {"Origin": origin}
        assert app.test_client().post("/added-by-a-user", headers=sent).status_code == status
