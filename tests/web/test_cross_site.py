from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    @app.post("/added-by-a-user")
    def added() -> str:
        return "done"

    return app.test_client()


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "null"},
        {"Origin": "null", "Host": "with_underscore"},
        {"Origin": "http://", "Host": "with_underscore"},
        {"Origin": "http://[", "Host": "["},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/login"),
        ("POST", "/logout"),
        ("POST", "/api/v1/sessions"),
        ("DELETE", "/api/v1/sessions/current"),
        ("POST", "/added-by-a-user"),
        ("POST", "/nowhere"),
    ],
)
def test_an_unsafe_request_from_another_site_is_rejected_on_every_path(
    client: FlaskClient, method: str, path: str, headers: dict[str, str]
) -> None:
    response = client.open(path, method=method, headers=headers)
    assert response.status_code == 403
    assert response.get_json(force=True)["code"] == "cross_site"
    assert "Set-Cookie" not in response.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "http://localhost"},
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
