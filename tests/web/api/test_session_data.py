from __future__ import annotations

import json
import threading
from typing import Any

import flask
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.passwords import BOB
from tests.web.devices import CURRENT, DATA, cookie, with_cookie

WRITERS = 30
TIMEOUT = 30  # seconds


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
    problem = response.get_json(force=True)
    assert problem["code"] == "too_large"
    assert problem["detail"] == "A session can hold at most 128 keys and 65536 bytes of data."
    assert "one" not in bob.get(DATA).json


@pytest.mark.parametrize(
    "over", [{f"key{number}": 0 for number in range(17)}, {"key": "x" * 4096}, {"k" * 4096: ""}]
)
def test_without_signing_in_there_is_less_room(app: Flask, redis: Redis, over: Any) -> None:
    client = app.test_client()
    response = client.patch(DATA, json=over)
    assert (response.status_code, response.get_json(force=True)["code"]) == (413, "too_large")
    assert client.get_cookie("session") is None
    assert redis.dbsize() == 0
    assert client.patch(DATA, json={"basket": 1}).status_code == 200
    assert client.patch(DATA, json=over).status_code == 413
    assert client.get(DATA).json == {"basket": 1}


def test_concurrent_patches_fill_a_session_to_its_limit_and_not_further(app: Flask) -> None:
    """Each of them read an anonymous session with room for one more key."""
    client = app.test_client()
    client.patch(DATA, json={"first": 1})
    value, barrier, statuses = cookie(client), threading.Barrier(WRITERS), []

    def write(number: int) -> None:
        copy = with_cookie(app, value)
        barrier.wait(TIMEOUT)
        statuses.append(copy.patch(DATA, json={f"key{number}": number}).status_code)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert sorted(statuses) == [200] * 15 + [413] * (WRITERS - 15)
    assert len(client.get(DATA).json) == 16


@pytest.mark.parametrize("patch", [{}, {"a": None}, {"a": None, "b": None}])
def test_a_patch_that_stores_nothing_creates_no_session(
    app: Flask, redis: Redis, patch: Any
) -> None:
    client = app.test_client()
    response = client.patch(DATA, json=patch)
    assert (response.status_code, response.json) == (200, {})
    assert "Set-Cookie" not in response.headers
    assert redis.dbsize() == 0


@pytest.mark.parametrize("signed_in", [True, False])
def test_neither_the_api_nor_a_view_sees_what_the_other_keeps(app: Flask, signed_in: bool) -> None:
    """G15: a client cannot make itself an administrator, nor read the code that it should guess."""

    @app.post("/trusted")
    def trust() -> dict[str, Any]:
        flask.session["role"], flask.session["code"] = "member", 1234
        return dict(flask.session)

    @app.get("/trusted")
    def trusted() -> dict[str, Any]:
        return dict(flask.session)

    bob = app.test_client()
    if signed_in:
        assert bob.post("/api/v1/accounts", json=BOB).status_code == 201
    own = {"role": "member", "code": 1234}
    assert bob.post("/trusted").json == own
    assert bob.get(DATA).json == {}
    assert bob.patch(DATA, json={"role": "admin", "more": 1}).json == {"role": "admin", "more": 1}
    assert bob.get("/trusted").json == own
    assert bob.patch(DATA, json={"code": None, "role": None}).json == {"more": 1}
    assert bob.get("/trusted").json == own
    assert bob.post("/trusted").json == own
    assert bob.get(DATA).json == {"more": 1}


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


def nested(levels: int, key: bool) -> bytes:
    """A body of so many levels of objects, or of one object and arrays."""
    if key:
        return b'{"a":' * levels + b"1" + b"}" * levels
    return b'{"a":' + b"[" * (levels - 1) + b"1" + b"]" * (levels - 1) + b"}"


@pytest.mark.parametrize("key", [True, False])
def test_values_are_stored_32_levels_deep_and_no_deeper(bob: FlaskClient, key: bool) -> None:
    deepest = bob.patch(DATA, data=nested(32, key), content_type="application/json")
    assert deepest.status_code == 200
    assert bob.get(DATA).json == deepest.json == json.loads(nested(32, key))
    for levels in (33, 500, 980, 1_500, 5_000, 10_000):
        response = bob.patch(DATA, data=nested(levels, key), content_type="application/json")
        problem = response.get_json(force=True)
        assert (response.status_code, problem["code"]) in ((422, "invalid"), (400, "malformed"))
        if levels == 33:
            assert problem["detail"] == "Values can be nested 32 levels deep at most."
    assert bob.get(DATA).json == deepest.json


def test_merging_does_not_nest_deeper_than_a_patch(bob: FlaskClient) -> None:
    for _ in range(3):
        assert (
            bob.patch(DATA, data=nested(32, key=True), content_type="application/json").status_code
            == 200
        )
    assert bob.get(DATA).json == json.loads(nested(32, key=True))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"a": 18446744073709551615, "b": -9223372036854775808}', 200),
        (b'{"a": 18446744073709551616}', 422),
        (b'{"a": [{"b": -9223372036854775809}]}', 422),
        (b'{"a": ' + b"9" * 300 + b"}", 422),
        (b'{"a": ' + b"9" * 5_000 + b"}", 400),
        (b'{"a": 1e308}', 200),
        (b'{"a": 1e309}', 400),
        (b'{"a": NaN}', 400),
        (b'{"a": Infinity}', 400),
        (b'{"a": -Infinity}', 400),
        (b'{"a": "\\ud800"}', 400),
        (b'{"a": "\\udc00\\ud800"}', 400),
        (b'{"\\ud800": 1}', 400),
        (b'{"a": {"\\udfff": 1}}', 400),
        (b'{"a": "\\ud83d\\ude00"}', 200),
        (b'{"a": "\xff"}', 400),
        (b'{"\xc3": 1}', 400),
        (b'{"a": "\xed\xa0\x80"}', 400),
        (b'{"a": "\\u0000"}', 200),
        (b'{"a": 1}x', 400),
        (b'\xef\xbb\xbf{"a": 1}', 400),
        ('{"a": 1}'.encode("utf-16"), 400),
    ],
)
def test_what_json_does_not_allow_or_a_session_cannot_hold_is_rejected_and_not_stored(
    bob: FlaskClient, body: bytes, status: int
) -> None:
    response = bob.patch(DATA, data=body, content_type="application/json")
    assert response.status_code == status
    stored = bob.get(DATA)
    assert stored.status_code == 200
    assert stored.json == (json.loads(body) if status == 200 else {})


def test_of_two_members_with_the_same_name_the_last_one_counts(bob: FlaskClient) -> None:
    body = b'{"a": 1, "b": 1, "a": {"c": 1, "c": 2}, "b": null}'
    assert bob.patch(DATA, data=body, content_type="application/json").json == {"a": {"c": 2}}
    assert bob.get(DATA).json == {"a": {"c": 2}}


texts = st.text() | st.text(st.characters(codec=None), max_size=4)  # with lone surrogates
scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(width=64) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(texts, inner, max_size=5),
    max_leaves=20,
) | st.integers(1, 40).map(lambda levels: json.loads("[" * levels + "]" * levels))


def without_nulls(value: Any) -> Any:
    """What a merge patch leaves (RFC 7396): nulls within arrays stay."""
    if not isinstance(value, dict):
        return value
    return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}


@given(patch=st.dictionaries(texts, values, max_size=4))
@example(patch={"a": float("nan")})
@example(patch={"a": [None, {"b": None}]})
@example(patch={"a": -0.0, "": 5e-324})
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_json_comes_back_as_it_was_sent_or_is_a_clear_4xx(
    bob: FlaskClient, patch: dict[str, Any]
) -> None:
    old = bob.get(DATA).json
    assert bob.patch(DATA, json=dict.fromkeys(old)).json == {}
    response = bob.patch(DATA, data=json.dumps(patch), content_type="application/json")
    stored = bob.get(DATA)
    assert stored.status_code == 200
    if response.status_code == 200:
        expected = {key: without_nulls(v) for key, v in patch.items() if v is not None}
        assert repr(sorted(stored.json.items())) == repr(sorted(expected.items()))
    else:
        assert response.status_code in (400, 413, 422)
        assert stored.json == {}
