"""Coatcheck in an application with a life of its own, of which nothing may change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask, Response, abort, flash, render_template, request, session
from jinja2 import Undefined
from werkzeug.exceptions import HTTPException, NotFound

from config import ConfigurationError, Settings, load_for_sessions
from service import Coatcheck, cross_site_exempt
from service.sessions.ids import SessionId, new_locator
from service.web.routes import Routes
from service.web.services import services_of, session_services_of
from tests.passwords import BOB

STYLES = "/coatcheck/static/coatcheck.css"
PAGE = {"Accept": "text/html"}
CROSS_SITE = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}


class Teapot(HTTPException):
    code = 418

    def get_body(self, *_: object) -> str:
        return "short and stout"


def views(app: Flask) -> None:
    """What a user's application has."""

    @app.get("/")
    def index() -> str:
        return render_template("base.html", missing_is_fine="")

    @app.route("/note", methods=["GET", "POST"])
    def note() -> str:
        if request.method == "POST":
            session["note"] = request.get_data(as_text=True)
        return str(session.get("note"))

    @app.get("/json")
    def as_json() -> dict[str, int]:
        return {"b": 1, "a": 2}

    @app.get("/cached/<policy>")
    def cached(policy: str) -> Response:
        session.get("note")
        return Response("x", headers={"Cache-Control": policy})

    @app.get("/abort")
    def abort_with_a_response() -> None:
        abort(Response("as it is", 402))

    @app.get("/teapot")
    def teapot() -> None:
        raise Teapot

    @app.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError

    @app.post("/plain")
    def plain() -> str:
        return f"{len(request.get_data())}"

    @app.post("/callback")
    @cross_site_exempt
    def callback() -> str:
        return "accepted"

    @app.errorhandler(Exception)
    def everything(error: Exception) -> tuple[str, int]:
        if isinstance(error, HTTPException):
            return f"theirs: {error.description}", error.code or 500
        return f"theirs: {type(error).__name__}", 500

    @app.errorhandler(404)
    def nothing(error: NotFound) -> tuple[str, int]:
        return "theirs: nothing", 404


def application(folder: Path) -> Flask:
    """A user's application, before Coatcheck."""
    (folder / "templates/layout").mkdir(parents=True)
    (folder / "templates/account").mkdir()
    (folder / "static").mkdir()
    (folder / "static/site.css").write_text("theirs")
    (folder / "templates/base.html").write_text("their base ok{{ nothing }}")
    for name in ("layout/base.html", "layout/error.html", "account/overview.html"):
        (folder / "templates" / name).write_text("theirs")
    app = Flask("theirs", root_path=str(folder))
    app.config["MAX_CONTENT_LENGTH"] = None
    views(app)
    return app


@pytest.fixture
def app(settings: Settings, tmp_path: Path) -> Iterator[Flask]:
    app = application(tmp_path)
    Coatcheck(app, settings)
    yield app
    services_of(app).close()


def test_their_templates_and_ours_do_not_meet(app: Flask) -> None:
    client = app.test_client()
    assert client.get("/").text == "their base ok"
    login = client.get("/login").text
    assert "/coatcheck/static/coatcheck.css" in login
    assert "their" not in login
    client.post("/api/v1/accounts", json=BOB)
    assert "Where you are signed in" in client.get("/account").text


def test_our_static_files_have_a_path_of_their_own(app: Flask) -> None:
    client = app.test_client()
    with client.get("/static/site.css") as theirs, client.get(STYLES) as ours:
        assert theirs.text == "theirs"
        assert ours.status_code == 200
    assert client.get("/static/coatcheck.css").text == "theirs: nothing"


def test_every_name_of_ours_is_below_coatcheck(app: Flask) -> None:
    ours = {rule.endpoint for rule in app.url_map.iter_rules()} - app.view_functions.keys()
    assert ours == set()
    theirs = Flask("theirs")
    views(theirs)
    added = app.view_functions.keys() - theirs.view_functions.keys()
    assert {name.partition(".")[0] for name in added} == {"coatcheck"}
    assert {name.partition(".")[0] for name in app.blueprints} == {"coatcheck"}


def test_a_route_that_was_there_first_stays(app: Flask) -> None:
    assert app.test_client().get("/", headers=PAGE).text == "their base ok"


def test_their_environments_of_jinja_and_json_stay_as_they_are(app: Flask) -> None:
    assert app.jinja_env.undefined is Undefined
    assert "password_min_length" not in app.jinja_env.globals
    assert re.sub(r"\s", "", app.test_client().get("/json").text) == '{"a":2,"b":1}'


@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/abort", 402, "as it is"),
        ("/teapot", 418, "theirs: None"),
        ("/broken", 500, "theirs: ZeroDivisionError"),
        ("/nowhere", 404, "theirs: nothing"),
    ],
)
def test_their_errors_go_to_their_handlers(app: Flask, path: str, status: int, text: str) -> None:
    response = app.test_client().get(path, headers=PAGE)
    assert (response.status_code, response.text) == (status, text)


def test_an_error_in_our_routes_is_answered_by_us(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise NotFound("of ours")

    monkeypatch.setattr(services_of(app).registration, "availability", fail)
    response = app.test_client().get("/api/v1/usernames/ada")
    assert response.json is not None
    assert response.json["code"] == "not_found"


def test_our_errors_in_their_views_show_through_their_handlers(
    settings: Settings, tmp_path: Path
) -> None:
    """With Redis down, a view that reads its session gets 503, and a page of its own site."""
    app = application(tmp_path)
    Coatcheck(app, settings.model_copy(update={"redis_url": "unix:///nowhere/redis.sock"}))
    client = app.test_client()
    client.set_cookie("session", SessionId.new(new_locator()).value)
    page = client.get("/note", headers=PAGE)
    document = client.get("/note")
    services_of(app).close()
    assert (page.status_code, page.headers["Retry-After"]) == (503, "1")
    assert page.text.startswith("theirs: ")
    assert document.json is not None
    assert (document.status_code, document.json["code"]) == (503, "unavailable")


def test_our_headers_and_our_limit_of_bodies_are_on_our_routes_only(app: Flask) -> None:
    client = app.test_client()
    theirs = client.post("/plain", data=b"x" * 100_000)
    assert theirs.text == "100000"
    assert {"Content-Security-Policy", "Vary", "Cache-Control"} & set(
        theirs.headers.keys()
    ) == set()
    ours = client.post("/api/v1/accounts", data=b"x" * 17_000, content_type="application/json")
    assert ours.status_code == 413
    assert "Content-Security-Policy" in ours.headers
    assert "Content-Security-Policy" in client.get("/login").headers


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("private", "private"),
        ("private, max-age=60", "private, max-age=60"),
        ("no-store", "no-store"),
        ("public, max-age=60", "no-store"),
        ("max-age=60", "no-store"),
    ],
)
def test_a_response_that_is_private_already_stays_as_the_view_made_it(
    app: Flask, given: str, sent: str
) -> None:
    response = app.test_client().get(f"/cached/{given}")
    assert response.headers["Cache-Control"] == sent
    assert response.headers["Vary"] == "Cookie"


def test_their_views_are_protected_from_other_sites_unless_they_say_otherwise(app: Flask) -> None:
    client = app.test_client()
    assert client.post("/plain", headers=CROSS_SITE).status_code == 403
    assert client.post("/callback", headers=CROSS_SITE).text == "accepted"


def test_what_they_configured_about_the_cookie_stays(settings: Settings, tmp_path: Path) -> None:
    app = application(tmp_path)
    app.config.update(SESSION_COOKIE_NAME="theirs", SESSION_COOKIE_SAMESITE="Strict")
    Coatcheck(app, settings)
    cookie = app.test_client().post("/note", data="x").headers["Set-Cookie"]
    services_of(app).close()
    assert cookie.startswith("theirs=")
    assert "SameSite=Strict" in cookie


def test_flashes_and_an_app_factory_work(settings: Settings, tmp_path: Path) -> None:
    coatcheck = Coatcheck(settings=settings)
    app = application(tmp_path)
    coatcheck.init_app(app)

    @app.post("/flash")
    def tell() -> str:
        flash("done")
        return str(session["_flashes"])

    assert "done" in app.test_client().post("/flash").text
    services_of(app).close()


def test_the_api_needs_no_pages(settings: Settings, tmp_path: Path) -> None:
    app = application(tmp_path)
    Coatcheck(app, settings, parts="api")
    client = app.test_client()
    registered, login = client.post("/api/v1/accounts", json=BOB), client.get("/login")
    refused = client.get("/api/v1/sessions?x", headers=PAGE)
    rejected = client.put("/auth/verify", headers=PAGE)
    services_of(app).close()
    assert (registered.status_code, login.text) == (201, "theirs: nothing")
    assert refused.status_code == 200
    assert rejected.status_code == 405


def test_sessions_alone_need_a_redis_and_three_lines(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", environ["REDIS_URL"])
    app = Flask(__name__)
    Coatcheck(app, parts="sessions")
    assert set(app.view_functions) == {"static"}

    @app.post("/count")
    def count() -> dict[str, int]:
        session["count"] = session.get("count", 0) + 1
        return {"count": session["count"]}

    client = app.test_client()
    here = "https://localhost"
    counted = [client.post("/count", base_url=here).json for _ in range(3)]
    session_services_of(app).close()
    assert counted == [{"count": 1}, {"count": 2}, {"count": 3}]


def test_sessions_alone_ignore_the_address_of_another_database(environ: dict[str, str]) -> None:
    theirs = {"REDIS_URL": environ["REDIS_URL"], "DATABASE_URL": "mysql://elsewhere"}
    assert load_for_sessions(theirs).redis_url == environ["REDIS_URL"]


def test_accounts_need_a_database(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", environ["REDIS_URL"])
    with pytest.raises(ConfigurationError, match="DATABASE_URL is not set"):
        Coatcheck(Flask(__name__), parts="api")


def test_an_application_in_debug_mode_is_in_development(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", environ["REDIS_URL"])
    monkeypatch.setenv("FLASK_DEBUG", "1")
    app = Flask(__name__)
    Coatcheck(app, parts="sessions")
    session_services_of(app).close()
    assert (app.config["SESSION_COOKIE_NAME"], app.config["SESSION_COOKIE_SECURE"]) == (
        "session",
        False,
    )


class Protect:
    """As Flask-WTF's CSRFProtect works: before each request, it asks for a token, unless the view
    is exempt."""

    def __init__(self) -> None:
        self._exempt: set[str] = set()

    def init_app(self, app: Flask) -> None:
        app.extensions["csrf"] = self

        @app.before_request
        def protect() -> None:
            view = app.view_functions.get(request.endpoint or "")
            named = view and f"{view.__module__}.{view.__name__}"
            if request.method == "POST" and named not in self._exempt:
                request.form.get("csrf_token") or abort(400)

    def exempt(self, view: Callable[..., object]) -> None:
        self._exempt.add(f"{view.__module__}.{view.__name__}")


@pytest.mark.parametrize("first", ["theirs", "ours"])
def test_tokens_are_asked_of_their_forms_and_not_of_ours(
    settings: Settings, tmp_path: Path, first: str
) -> None:
    app, protect = application(tmp_path), Protect()
    if first == "theirs":
        protect.init_app(app)
    Coatcheck(app, settings)
    if first == "ours":
        protect.init_app(app)
    client = app.test_client()
    ours = client.post("/register", data={"username": "bob", "password": "correct horse battery"})
    theirs = client.post("/plain", data={})
    services_of(app).close()
    assert (ours.status_code, theirs.status_code) == (303, 400)


def test_an_equal_route_that_came_first_is_not_answered_on_the_loop(
    settings: Settings, tmp_path: Path
) -> None:
    app = application(tmp_path)

    @app.get("/healthz")
    def healthz() -> str:
        return "theirs"

    Coatcheck(app, settings)
    routes = Routes(app)
    services_of(app).close()
    assert not routes.are_ours("GET", "/healthz")
    assert routes.are_ours("GET", "/auth/verify")
    assert not routes.are_ours("GET", "/plain")
