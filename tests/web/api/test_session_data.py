from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis

from tests.web.devices import CURRENT, DATA


@pytest.mark.parametrize(
    ("before", "patch", "after"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {"a": None}, {}),
        ({"a": 1}, {"b": [1, {"c": None}]}, {"a": 1, "b": [1, {"c": None}]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None, "d": 3}}, {"a": {"c": 2, "d": 3}}),
        ({"a": [1]}, {"a": {"b": None, "c": 1}}, {"a": {"c": 1}}),
    ],
)
def test_session_data_changes_by_merge_patch(
    bob: FlaskClient, before: Any, patch: Any, after: Any
) -> None:
    bob.patch(DATA, json=before)
    assert bob.patch(DATA, json=patch).json == after
    assert bob.get(DATA).json == after


def test_session_data_works_without_signing_in(app: Flask, redis: Redis) -> None:
    client = app.test_client()
    assert client.get(DATA).json == {}
    assert redis.dbsize() == 0
    assert client.patch(DATA, json={"basket": ["hat"]}).status_code == 200
    assert client.get(DATA).json == {"basket": ["hat"]}


def test_session_data_over_the_limit_is_rejected_and_nothing_is_stored(bob: FlaskClient) -> None:
    for number in range(4):
        assert bob.patch(DATA, json={f"key{number}": "x" * 15_000}).status_code == 200
    response = bob.patch(DATA, json={"one": "x" * 15_000})
    assert response.status_code == 413
    assert response.get_json(force=True)["code"] == "too_large"
    assert "one" not in bob.get(DATA).json


@pytest.mark.parametrize("body", ["[]", "1", "nonsense"])
def test_a_patch_that_is_no_object_is_rejected(bob: FlaskClient, body: str) -> None:
    response = bob.patch(DATA, data=body, content_type="application/json")
    assert response.status_code == 400


def test_session_data_changes_nothing_that_the_service_knows_of_the_session(
    bob: FlaskClient,
) -> None:
    """G15: a client cannot say who it is, nor until when."""
    before = bob.get(CURRENT).json
    names = [".", "owner", "created", "seen", "deadline", ":", "=", "_permanent", "metadata"]
    forged = dict.fromkeys(names, "forged")
    assert bob.patch(DATA, json=forged).status_code == 200
    after = bob.get(CURRENT).json
    assert after["account"] == before["account"]
    for name in ("handle", "created_at", "expires_at"):
        assert after["session"][name] == before["session"][name]
