"""Revoked is revoked: a request that is under way when its session ends brings nothing back.

`python -m kits.races.revocation` makes a thousand attempts at each.
"""

from __future__ import annotations

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from service.errors import SessionRevoked
from service.sessions.record import NOWHERE
from service.web import current
from service.web.services import services_of
from tests.guarantees.overtaken import (
    BOB,
    ENDINGS,
    REVOKED,
    VIEWS,
    Parking,
    Stores,
    add_parked_views,
    concurrent_writes,
    late_login,
    parked_request,
)
from tests.passwords import PASSWORD

ATTEMPTS = 3


@pytest.fixture
def parking(app: Flask) -> Parking:
    return add_parked_views(app)


@pytest.fixture
def bob(app: Flask, parking: Parking) -> FlaskClient:
    client = app.test_client()
    assert client.post("/api/v1/accounts", json=BOB).status_code == 201
    return client


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_parked_request_brings_no_ended_session_back(
    app: Flask,
    bob: FlaskClient,
    parking: Parking,
    redis: Redis,
    database: psycopg.Connection,
    ending: str,
    view: str,
) -> None:
    """G6: nothing brings the session back, whatever ended it and whatever the request does."""
    for _ in range(ATTEMPTS):
        assert parked_request(app, parking, Stores(redis, database), ending, view) == REVOKED


def test_a_login_that_verified_the_old_password_gets_no_session(
    app: Flask, bob: FlaskClient
) -> None:
    """G6: an in-flight login does not outlive a password change."""
    for _ in range(ATTEMPTS):
        assert late_login(app, bob) == (401, False)


def test_fifty_requests_at_a_time_that_write_a_key_each_keep_every_key(
    app: Flask, bob: FlaskClient
) -> None:
    """G7: no lost update."""
    for value in range(ATTEMPTS):
        assert concurrent_writes(app, bob, value) == set()


def test_an_overtaken_sign_in_says_so(app: Flask, bob: FlaskClient) -> None:
    """G6: the application hears of the revocation, too."""
    services = services_of(app)
    proof = services.password_factor.prove("bob", PASSWORD)
    services.revocation.revoke("bob", NOWHERE)
    with app.test_request_context(), pytest.raises(SessionRevoked):
        current.sign_in(proof, remember=False)
