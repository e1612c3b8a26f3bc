"""No request of 16 KiB holds a thread or the event loop for long, however it is made.

Only CPU time counts, which other processes do not prolong. Passwords are hashed in other threads.
To look for worse, for an hour:
`pytest --hypothesis-profile thorough --timeout 0 tests/web/test_cpu_time.py`
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings, target
from werkzeug.test import EnvironBuilder

from service.accounts import usernames
from service.front.simple_registration import username_of
from service.sessions.ids import SessionId
from service.web.shapes import device_name
from tests.passwords import BOB, PASSWORD, POLICY
from tests.web.devices import cookie
from tests.web.requests import (
    FIELD,
    FIELDS,
    JSON,
    KNOWN_ADDRESSES,
    KNOWN_BODIES,
    KNOWN_HEADERS,
    LARGEST,
    REQUESTS,
    Request,
    as_json,
    filled,
)

LIMIT = 0.02  # seconds for a thread
LOOP_LIMIT = 0.002  # for one step of the loop, of which a check takes some microseconds
STATIC = "/coatcheck/static/coatcheck.css"
ARGUMENT = re.compile(r"<[^>]+>")


def cpu_time(work: Callable[[], object], limit: float) -> float:
    """Seconds of CPU time. The least of three, if it exceeds `limit`: a busy machine only adds."""
    least = LARGEST * 1.0
    for _ in range(3):
        started = time.thread_time()
        work()
        least = min(least, time.thread_time() - started)
        if least <= limit:
            break
    return least


Address = tuple[str, str]  # the method, and the path with names for its arguments
Slow = tuple[Address, Request, float]


class Site:
    """An application, and a browser that is signed in to it."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self.addresses = sorted(
            (method, rule.rule)
            for rule in app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        )
        self.sign_in()

    def sign_in(self) -> None:
        """Sign in anew. Some requests sign out or delete the account."""
        client = self._app.test_client()
        if client.post("/api/v1/sessions", json=BOB).status_code != 201:
            body = BOB | {"username": f"bob{time.monotonic_ns()}"}
            assert client.post("/api/v1/accounts", json=body).status_code == 201
        self._cookie = f"session={cookie(client)}"

    def slow(self, addresses: Iterable[Address], requests: Iterable[Request]) -> list[Slow]:
        """Those of the requests that take too long at any of the addresses."""
        found = []
        for address in addresses:
            self.sign_in()
            for request in requests:
                if (took := self.cpu_time(address, request)) > LIMIT:
                    found.append((address, request, took))
        return found

    def cpu_time(self, address: Address, request: Request) -> float:
        """What the request costs the thread that serves it."""
        usernames.parse.cache_clear()
        device_name.cache_clear()
        return cpu_time(lambda: self._serve(*address, request), LIMIT)

    def _serve(self, method: str, rule: str, request: Request) -> None:
        environ = EnvironBuilder(
            path=ARGUMENT.sub(lambda _: request.argument, rule),
            query_string=request.query,
            method=method,
            data=request.body,
            content_type=request.mimetype,
            headers={"Cookie": self._cookie, "Accept": "text/html"} | request.headers,
        ).get_environ()
        answer = self._app.wsgi_app(environ, lambda *_: lambda _: None)
        b"".join(answer)
        if close := getattr(answer, "close", None):
            close()


@pytest.fixture
def site(app: Flask) -> Site:
    app.testing = False  # an unexpected error is a response, too
    return Site(app)


def test_no_known_body_holds_a_thread_for_long(site: Site) -> None:
    addresses = [address for address in site.addresses if address[0] != "GET"]
    assert site.slow(addresses, KNOWN_BODIES) == []


def test_no_known_address_holds_a_thread_for_long(site: Site) -> None:
    assert site.slow(site.addresses, KNOWN_ADDRESSES) == []


def test_no_known_header_holds_a_thread_for_long(site: Site) -> None:
    addresses = [("GET", "/nowhere"), ("GET", STATIC), ("POST", "/register")]
    assert site.slow(addresses, KNOWN_HEADERS) == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(REQUESTS)
def test_no_request_that_can_be_found_holds_a_thread_for_long(site: Site, request: Request) -> None:
    site.sign_in()
    times = {address: site.cpu_time(address, request) for address in site.addresses}
    target(max(times.values()))
    assert {address: took for address, took in times.items() if took > LIMIT} == {}


@given(REQUESTS)
def test_no_registration_that_can_be_found_holds_the_loop_for_long(request: Request) -> None:
    usernames.parse.cache_clear()
    took = on_the_loop(request.body)
    target(took)
    assert took < LOOP_LIMIT


def test_no_known_registration_holds_the_loop_for_long() -> None:
    slow = [request for request in KNOWN_BODIES if on_the_loop(request.body) > LOOP_LIMIT]
    assert slow == []


def on_the_loop(body: bytes) -> float:
    headers = [(b"content-type", b"application/json")]

    def look() -> None:
        usernames.parse.cache_clear()
        username_of(headers, body, POLICY)

    return cpu_time(look, LOOP_LIMIT)


@given(FIELD)
def test_no_cookies_that_can_be_found_hold_the_loop_for_long(header: str) -> None:
    took = cpu_time(lambda: SessionId.from_cookies(header * 2, "session"), LOOP_LIMIT)
    target(took)
    assert took < LOOP_LIMIT


@pytest.mark.parametrize("unit", FIELDS)
def test_no_known_cookies_hold_the_loop_for_long(unit: str) -> None:
    header = filled(unit, LARGEST)
    assert cpu_time(lambda: SessionId.from_cookies(header, "session"), LOOP_LIMIT) < LOOP_LIMIT


def test_a_password_of_arabic_digits_is_rejected_like_any_wrong_one(
    app: Flask, bob: FlaskClient
) -> None:
    """PRECIS would look at them for five seconds."""
    client = app.test_client()
    wrong, digits = (
        client.post(
            "/api/v1/sessions",
            data=as_json({"username": "bob", "password": password}),
            content_type=JSON,
        )
        for password in ("another password", "\u0661" * 8150)
    )
    assert PASSWORD not in digits.text
    assert (digits.status_code, digits.data) == (wrong.status_code, wrong.data)
    assert digits.headers.to_wsgi_list() == wrong.headers.to_wsgi_list()
