from __future__ import annotations

import re
from unittest.mock import patch

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.errors import LimitUsedUp, SessionStoreUnavailable
from service.web.services import services_of
from tests.browsers import browser
from tests.passwords import BOB


@pytest.fixture
def bob(app: Flask) -> FlaskClient:
    client = browser(app)
    assert client.post("/register", data=BOB).status_code == 303
    return client


@pytest.fixture
def elsewhere(app: Flask, bob: FlaskClient) -> FlaskClient:
    client = browser(app)
    assert client.post("/login", data=BOB).status_code == 303
    return client


def test_a_visitor_who_is_not_signed_in_is_led_to_the_form_and_back(
    app: Flask, bob: FlaskClient
) -> None:
    client = browser(app)
    response = client.get("/account")
    assert (response.status_code, response.location) == (303, "/login?next=/account")
    assert 'name="next" value="/account"' in client.get(response.location).text
    response = client.post("/login", data=BOB | {"next": "/account"})
    assert (response.status_code, response.location) == (303, "/account")


@pytest.mark.parametrize("form", ["sessions/revoke-others", "password", "delete"])
def test_a_form_from_somebody_who_is_not_signed_in_is_rejected(app: Flask, form: str) -> None:
    app.testing = False
    response = browser(app).post(f"/account/{form}", data={"password": "whatever it was"})
    assert response.status_code == 401
    assert "You are not signed in." in response.text


@pytest.mark.parametrize(
    "elsewhere_to",
    ["//evil.example", "https://evil.example", "/\\evil.example", "\t//evil.example", "evil", ""],
)
def test_signing_in_leads_to_no_other_site(app: Flask, bob: FlaskClient, elsewhere_to: str) -> None:
    response = browser(app).post("/login", data=BOB | {"next": elsewhere_to})
    assert (response.status_code, response.location) == (303, "/")


def test_devices_are_shown_and_one_can_be_signed_out(
    bob: FlaskClient, elsewhere: FlaskClient
) -> None:
    assert bob.get("/account").text.count("last seen") == 2
    handle = elsewhere.get("/api/v1/sessions/current").json["session"]["handle"]
    response = bob.post(f"/account/sessions/{handle}/revoke")
    assert (response.status_code, response.location) == (303, "/account")
    assert elsewhere.get("/account").status_code == 303
    assert bob.get("/account").text.count("last seen") == 1


def test_all_others_can_be_signed_out(bob: FlaskClient, elsewhere: FlaskClient) -> None:
    assert bob.post("/account/sessions/revoke-others").location == "/account"
    assert elsewhere.get("/account").status_code == 303
    assert bob.get("/account").status_code == 200


def test_the_password_can_be_changed(bob: FlaskClient, elsewhere: FlaskClient) -> None:
    wrong = {"current_password": "not it at all", "new_password": "a new one entirely"}
    refused = bob.post("/account/password", data=wrong)
    assert refused.status_code == 403
    assert "not your current password" in refused.text
    right = wrong | {"current_password": BOB["password"]}
    done = bob.post("/account/password", data=right)
    assert "Your password is changed." in bob.get(done.location).text
    assert "Your password is changed." not in bob.get("/account").text
    assert elsewhere.get("/account").status_code == 303


@pytest.mark.parametrize("form", ["password", "delete"])
@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"password=%FF&new_password=%FF", "application/x-www-form-urlencoded", 400),
        (b"{}", "application/json", 415),
    ],
    ids=["invalid UTF-8", "JSON"],
)
def test_a_form_that_cannot_be_read_changes_nothing(
    bob: FlaskClient, form: str, body: bytes, kind: str, status: int
) -> None:
    assert bob.post(f"/account/{form}", data=body, content_type=kind).status_code == status
    assert bob.get("/account").status_code == 200


def test_the_account_can_be_deleted(bob: FlaskClient) -> None:
    refused = bob.post("/account/delete", data={"password": "not it at all"})
    assert refused.status_code == 403
    response = bob.post("/account/delete", data={"password": BOB["password"]})
    assert response.status_code == 303
    assert "Your account is deleted." in bob.get(response.location).text
    assert "Your account is deleted." not in bob.get("/").text
    assert bob.post("/login", data=BOB).status_code == 401


@pytest.mark.parametrize(
    ("form", "present", "new", "field"),
    [
        ("password", "not it at all", "a new one entirely", "current_password"),
        ("password", BOB["password"], "short", "new_password"),
        ("delete", "not it at all", "", "password"),
    ],
)
def test_a_field_that_is_wrong_says_so_and_has_the_focus(
    bob: FlaskClient, form: str, present: str, new: str, field: str
) -> None:
    fields = {"current_password": present, "password": present, "new_password": new}
    page = bob.post(f"/account/{form}", data=fields).text
    wrong = [tag for tag in re.findall(r"<input [^>]*>", page) if 'aria-invalid="true"' in tag]
    assert len(wrong) == page.count("autofocus") == page.count('class="wrong"') == 1
    assert f'id="{field}"' in wrong[0]
    assert "autofocus" in wrong[0]


def test_too_many_wrong_passwords_are_said_at_the_field(app: Flask, bob: FlaskClient) -> None:
    fields = {"current_password": BOB["password"], "new_password": "a new one entirely"}
    used_up = LimitUsedUp("confirmation", amount=10, window=300, retry_after=60)
    with patch.object(services_of(app).password_factor, "confirm", side_effect=used_up):
        answer = bob.post("/account/password", data=fields)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert "Too many attempts." in answer.text
    assert answer.text.count("autofocus") == 1


@pytest.mark.parametrize("form", ["password", "delete"])
def test_the_address_of_a_rejected_form_leads_back_to_the_page(bob: FlaskClient, form: str) -> None:
    """It is in the address bar of whoever reloads."""
    answer = bob.get(f"/account/{form}")
    assert (answer.status_code, answer.location) == (303, "/account")


def test_the_page_after_a_change_that_redis_does_not_know_yet_asks_nobody_to_repeat_it(
    app: Flask, bob: FlaskClient
) -> None:
    """Otherwise the right password would count as a wrong guess."""
    store = services_of(app).session_store
    with patch.object(store, "revoke_all", side_effect=SessionStoreUnavailable):
        fields = {"current_password": BOB["password"], "new_password": "a new one entirely"}
        answer = bob.post("/account/password", data=fields)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert "no need to repeat it" in answer.text
    assert "Try again" not in answer.text
    assert "have not been signed out" not in answer.text
