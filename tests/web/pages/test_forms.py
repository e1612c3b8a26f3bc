"""What every page offers, to people and to their password managers."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.browsers import browser
from tests.passwords import BOB

INPUT = re.compile(r"<input\b[^>]*>")
FORMS = ("/register", "/login", "/account")
MEMBERS_PAGES = ("/", "/account")


@pytest.fixture
def bob(app: Flask) -> FlaskClient:
    client = browser(app)
    assert client.post("/register", data=BOB).status_code == 303
    return client


def fields(text: str) -> list[dict[str, str]]:
    """The attributes of every input."""
    return [dict(re.findall(r'([\w-]+)="([^"]*)"', each)) for each in INPUT.findall(text)]


@pytest.mark.parametrize("path", FORMS)
def test_a_password_is_masked_and_a_password_manager_knows_which_one_is_asked_for(
    bob: FlaskClient, path: str
) -> None:
    """OWASP ASVS 5.0, 6.2.6 and 6.2.7."""
    asked = [each for each in fields(bob.get(path).text) if "password" in each["name"]]
    assert asked
    for each in asked:
        kind = "new-password" if each["name"] == "new_password" or path == "/register" else None
        assert each["type"] == "password"
        assert each["autocomplete"] == (kind or "current-password")
        assert not each["value"]


@pytest.mark.parametrize("path", FORMS)
def test_no_page_runs_a_script_that_could_stop_somebody_from_pasting(
    bob: FlaskClient, path: str
) -> None:
    """OWASP ASVS 5.0, 6.2.7."""
    assert not re.search(r"<script|\son\w+=|javascript:", bob.get(path).text, re.IGNORECASE)


@pytest.mark.parametrize("path", FORMS)
def test_no_form_asks_for_a_hint_or_a_secret_question(bob: FlaskClient, path: str) -> None:
    """OWASP ASVS 5.0, 6.4.2: all that is asked for is known."""
    names = {each["name"] for each in fields(bob.get(path).text)}
    known = {"username", "password", "current_password", "new_password", "remember"}
    assert names <= known | {"next", "idempotency_key"}


@pytest.mark.parametrize("path", MEMBERS_PAGES)
def test_every_page_for_members_has_a_visible_way_out(bob: FlaskClient, path: str) -> None:
    """OWASP ASVS 5.0, 7.4.4."""
    assert re.search(r'<form[^>]*action="/logout"[^>]*>\s*<button', bob.get(path).text)
