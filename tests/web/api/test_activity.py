"""Owners see what happened to their account."""

from __future__ import annotations

import re

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.audit.entry import COMMAND_LINE, Event
from service.storage.postgres import Postgres
from service.web.activity import SENTENCES
from service.web.services import services_of
from tests.passwords import BOB

ACTIVITY = "/api/v1/account/activity"
FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}


@pytest.fixture
def bob(app: Flask) -> FlaskClient:
    client = app.test_client()
    answer = client.post("/api/v1/accounts", json=BOB, headers=FIREFOX)
    assert answer.status_code == 201
    return client


def test_it_is_in_words_for_people_and_in_fields_for_programs(bob: FlaskClient) -> None:
    [signed_in, registered] = bob.get(ACTIVITY).json["activity"]
    assert signed_in["description"] == "Signed in with a password"
    assert (signed_in["event"], signed_in["methods"]) == ("signed_in", ["password"])
    assert (signed_in["device"], signed_in["address"]) == ("Firefox on Linux", "127.0.0.1")
    assert signed_in["session"] == bob.get("/api/v1/sessions/current").json["session"]["handle"]
    assert registered["description"] == "Registered"
    assert registered["session"] is None


def test_what_strangers_tried_is_part_of_it_and_what_others_did_is_not(
    app: Flask, bob: FlaskClient
) -> None:
    stranger = app.test_client()
    stranger.post("/api/v1/sessions", json=BOB | {"password": "another one"})
    stranger.post("/api/v1/accounts", json=BOB | {"username": "ada"})
    events = [entry["event"] for entry in bob.get(ACTIVITY).json["activity"]]
    assert events == ["sign_in_refused", "signed_in", "registered"]


def test_an_operator_is_not_a_browser(app: Flask, bob: FlaskClient) -> None:
    services_of(app).revocation.revoke("bob", COMMAND_LINE)
    bob.post("/api/v1/sessions", json=BOB)
    revoked = bob.get(ACTIVITY).json["activity"][1]
    assert (revoked["event"], revoked["device"]) == ("all_sessions_revoked", "an operator")


def test_it_comes_in_pages(bob: FlaskClient, database: psycopg.Connection) -> None:
    database.execute(
        "INSERT INTO audit (account_id, event, particulars, address, device)"
        " SELECT id, 'signed_out', '{}', '', '' FROM accounts, generate_series(1, 60)"
    )
    first = bob.get(ACTIVITY).json
    second = bob.get(f"{ACTIVITY}?before={first['next']}").json
    ids = [entry["id"] for page in (first, second) for entry in page["activity"]]
    assert len(ids) == 62
    assert ids == sorted(set(ids), reverse=True)
    assert second["next"] is None


@pytest.mark.parametrize("before", ["", "x", "-1", "٣", "1e3", "9" * 20, "9" * 9999])
def test_a_page_that_cannot_be_is_rejected(bob: FlaskClient, before: str) -> None:
    answer = bob.get(ACTIVITY, query_string={"before": before})
    assert (answer.status_code, answer.json["errors"][0]["field"]) == (422, "before")


def test_the_largest_number_that_fits_is_only_a_page(bob: FlaskClient) -> None:
    assert len(bob.get(f"{ACTIVITY}?before={2**63}").json["activity"]) == 2


def test_it_is_for_its_owner_alone(app: Flask) -> None:
    assert app.test_client().get(ACTIVITY).status_code == 401


def test_every_event_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Event)


def test_the_account_page_shows_the_latest(bob: FlaskClient) -> None:
    page = bob.get("/account").text
    assert "Recent activity" in page
    section = page.partition("Recent activity")[2]
    entry = section.partition("<li>")[2].partition("</li>")[0]
    words = " ".join(re.sub("<[^>]*>", " ", entry).split())
    assert words.startswith("Signed in with a password Firefox on Linux, 127.0.0.1, 20")
    # The children of the list's item are apart on the page.
    assert entry.strip().startswith("<span>")
    assert entry.strip().endswith("</span></span>")


def test_without_postgres_the_page_still_shows_the_devices(
    app: Flask, bob: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    down = Postgres("postgresql://nobody@localhost:1/nowhere")
    monkeypatch.setattr(services_of(app).audit, "_postgres", down)
    page = bob.get("/account")
    assert page.status_code == 200
    assert "Your activity is unavailable at the moment." in page.text
    down.close()
