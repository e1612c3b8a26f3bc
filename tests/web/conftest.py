"""Clients of the service: Flask's own, and those that come one of two ways."""

from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.passwords import BOB
from tests.ways import behind_the_front, both_ways, flask_alone, front_url, way

__all__ = ["behind_the_front", "both_ways", "flask_alone", "front_url", "way"]  # fixtures


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def bob(client: FlaskClient) -> FlaskClient:
    """A client whose user has just registered, and so is signed in."""
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    return client
