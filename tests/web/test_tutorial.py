from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.passwords import BOB


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


def test_a_new_name_is_answered_with_message_and_username(client: FlaskClient) -> None:
    response = client.post("/register", json=BOB)
    assert response.status_code == 201
    assert set(response.json) == {"message", "username"}
    assert response.json["username"] == "Bob"


def test_a_taken_name_is_answered_with_409_and_an_error(client: FlaskClient) -> None:
    client.post("/register", json=BOB)
    response = client.post("/register", json=BOB)
    assert response.status_code == 409
    assert set(response.json) == {"error"}


@pytest.mark.parametrize("body", [{}, {"username": "Bob"}, {"username": "x", "password": "y"}])
def test_a_missing_or_unacceptable_field_is_answered_with_400_and_an_error(
    client: FlaskClient, body: dict[str, str]
) -> None:
    response = client.post("/register", json=body)
    assert response.status_code == 400
    assert set(response.json) == {"error"}


def test_a_body_that_is_no_json_is_answered_with_400_and_an_error(client: FlaskClient) -> None:
    response = client.post("/register", data="{", content_type="application/json")
    assert response.status_code == 400
    assert set(response.json) == {"error"}
