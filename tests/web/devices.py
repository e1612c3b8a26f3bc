"""Clients of one account, which are its devices."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from tests.passwords import BOB

CURRENT = "/api/v1/sessions/current"
DATA = "/api/v1/sessions/current/data"


def another_device(app: Flask) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/sessions", json=BOB).status_code == 201
    return client


def status(client: FlaskClient) -> int:
    return client.get(CURRENT).status_code


def cookie(client: FlaskClient) -> str:
    found = client.get_cookie("session")
    assert found is not None
    return found.value


def with_cookie(app: Flask, value: str) -> FlaskClient:
    client = app.test_client()
    client.set_cookie("session", value)
    return client
