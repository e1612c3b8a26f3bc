from __future__ import annotations

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from service import create_app
from service.accounts.account import Account
from service.errors import RegistrationUnresolved
from service.registration.registration import Registration
from service.sessions.record import Client
from service.web.services import services_of
from tests.browsers import browser
from tests.passwords import BOB, PASSWORD


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return browser(app)


def test_registering_leads_home_signed_in(client: FlaskClient) -> None:
    response = client.post("/register", data=BOB)
    assert (response.status_code, response.location) == (303, "/")
    assert "<strong>Bob</strong>" in client.get("/").text


def test_signing_out_and_in_again(client: FlaskClient) -> None:
    client.post("/register", data=BOB)
    response = client.post("/logout")
    assert (response.status_code, response.location) == (303, "/")
    assert "Bob" not in client.get("/").text
    response = client.post("/login", data=BOB)
    assert (response.status_code, response.location) == (303, "/")
    assert "Bob" in client.get("/").text


def test_a_rejected_registration_shows_the_form_with_what_was_wrong(client: FlaskClient) -> None:
    response = client.post("/register", data={"username": "x", "password": "hunter2"})
    assert response.status_code == 422
    assert "at least 2 characters" in response.text
    assert "at least 10 characters" in response.text
    assert 'value="x"' in response.text
    assert "hunter2" not in response.text


def test_a_taken_name_shows_the_form_again(app: Flask, client: FlaskClient) -> None:
    client.post("/register", data=BOB)
    other = app.test_client()
    response = other.post("/register", data=BOB | {"username": "bob", "remember": "on"})
    assert response.status_code == 409
    assert "taken" in response.text
    assert 'name="remember" checked' in response.text


def test_a_rejected_login_keeps_the_name_and_not_the_password(client: FlaskClient) -> None:
    response = client.post("/login", data={"username": "<b>ob", "password": "hunter2hunter2"})
    assert response.status_code == 401
    assert "The username or password is wrong." in response.text
    assert "&lt;b&gt;ob" in response.text
    assert "hunter2" not in response.text


def test_members_are_shown_newest_first_in_pages_to_members_only(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.web.pages.home.MEMBERS_PER_PAGE", 2)
    names = ["first", "second", "third", "fourth", "fifth"]
    for name in names:
        client.post("/register", data=BOB | {"username": name})
    seen, page = [], "/"
    while page:
        text = client.get(page).text
        seen.append([name for name in names if f"<bdi>{name}</bdi>" in text])
        page = text.partition('href="/?before=')[2].partition('"')[0]
        page = page and f"/?before={page}"
    assert seen == [["fourth", "fifth"], ["second", "third"], ["first"]]
    assert "first" not in app.test_client().get("/?before=100").text


def test_a_page_that_does_not_exist_is_answered_by_a_page(client: FlaskClient) -> None:
    response = client.get("/nowhere")
    assert response.status_code == 404
    assert response.mimetype == "text/html"


def test_with_the_session_store_down_forms_are_shown_and_nobody_is_signed_out(
    settings: Settings,
) -> None:
    """G10: an outage is not a logout."""
    app = create_app(settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"}))
    client = browser(app)
    client.set_cookie("session", "x" * 55)
    assert client.get("/login").status_code == 200
    assert client.get("/register").status_code == 200
    home = client.get("/")
    assert home.status_code == 503
    assert home.headers["Retry-After"] == "1"
    assert "You have not been signed out" in home.text
    registered = client.post("/register", data=BOB)
    assert registered.status_code == 201
    assert "You are registered, Bob" in registered.text
    login = client.post("/login", data=BOB)
    assert login.status_code == 503
    for response in (home, registered, login):
        assert "Set-Cookie" not in response.headers
    services_of(app).close()


def test_pages_run_no_script_and_no_style_but_our_own(client: FlaskClient) -> None:
    policy = client.get("/login").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_a_form_sent_twice_ends_signed_in_and_not_taken(app: Flask, client: FlaskClient) -> None:
    """G3: a double click is a success."""
    form = client.get("/register").text
    idempotency_key = form.partition('name="idempotency_key" value="')[2].partition('"')[0]
    assert len(idempotency_key) > 20
    for each in (client, app.test_client()):
        response = each.post("/register", data=BOB | {"idempotency_key": idempotency_key})
        assert (response.status_code, response.location) == (303, "/")
    other = client.post("/register", data=BOB | {"idempotency_key": "another-form"})
    assert other.status_code == 409


def test_a_form_shown_again_after_an_outage_finds_the_account_that_it_made(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The account was created, but the answer was lost: 503, and the same form with its button."""
    register = Registration.register

    def unresolved(
        self: Registration, username: str, password: str, key: str, _: Client
    ) -> Account:
        register(self, username, password, key)
        raise RegistrationUnresolved(key)

    with monkeypatch.context() as broken:
        broken.setattr(Registration, "register", unresolved)
        shown = client.post("/register", data=BOB | {"idempotency_key": "this-form"})
    assert shown.status_code == 503
    idempotency_key = shown.text.partition('name="idempotency_key" value="')[2].partition('"')[0]
    again = client.post("/register", data=BOB | {"idempotency_key": idempotency_key})
    assert (again.status_code, again.location) == (303, "/")


def test_a_form_that_was_tampered_with_says_what_is_wrong(client: FlaskClient) -> None:
    response = client.post("/register", data=BOB | {"idempotency_key": "x" * 300})
    assert response.status_code == 422
    assert 'role="alert"' in response.text


@pytest.mark.parametrize(
    "before",
    [
        "9223372036854775807",
        "9223372036854775808",
        "1" + "0" * 30,
        "9" * 4000,
        "-1",
        "+1",
        "1_0",
        "1.5",
        "%20",
        "٣",
        "x",
        "",
        "%00",
        "%ff",
        "1%27--",
    ],
)
def test_a_page_after_no_account_is_the_first_page(bob: FlaskClient, before: str) -> None:
    page = bob.get(f"/?before={before}")
    assert page.status_code == 200
    assert "Bob" in page.text


def test_a_page_goes_on_after_an_account(bob: FlaskClient, app: Flask) -> None:
    newest = bob.get("/api/v1/sessions/current").json["account"]["id"]
    app.test_client().post("/api/v1/accounts", json={"username": "Ada", "password": PASSWORD})
    page = bob.get(f"/?before={newest + 1}").text.partition("<main")[2]
    assert ("Ada" in page, "Bob" in page) == (False, True)


@pytest.mark.parametrize("path", ["/login", "/register", "/nowhere", "/account/nowhere"])
def test_a_page_with_a_form_or_an_error_stays_in_no_cache(app: Flask, path: str) -> None:
    assert browser(app).get(path).headers.getlist("Cache-Control") == ["no-store"]


def test_a_rejected_form_and_a_redirect_stay_in_no_cache(app: Flask) -> None:
    for path, body in (("/login", {"username": "bob", "password": "x"}), ("/logout", {})):
        response = browser(app).post(path, data=body)
        assert response.headers.getlist("Cache-Control") == ["no-store"]


@pytest.mark.parametrize("field", [b"\xff", b"%FF", b"%ED%A0%80", b"%C0%AF"])
@pytest.mark.parametrize("path", ["/register", "/login", "/account/password", "/account/delete"])
def test_a_form_that_is_not_utf_8_is_rejected(bob: FlaskClient, path: str, field: bytes) -> None:
    names = (b"username", b"password", b"current_password", b"new_password")
    body = b"&".join(name + b"=correct-horse" + field for name in names)
    form = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    response = bob.post(path, data=body, headers=form)
    assert (response.status_code, response.get_json(force=True)["code"]) == (400, "malformed")
