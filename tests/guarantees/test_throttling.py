"""Limits in the service as it really runs: several workers behind one trusted proxy. G14."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families
from redis import Redis

from service.throttling.table import TABLE, Limited
from tests.passwords import PASSWORD
from tests.servers import NO_TLS, ROOT, Server, gunicorn
from tests.ways import fresh_name

WRONG = "another password"
ATTEMPTS, CLIENTS = 1000, 32
PAGE = {"Accept": "text/html"}

_addresses = (f"198.18.{n // 250}.{n % 250 + 1}" for n in itertools.count())

REGISTRATIONS = TABLE[Limited.REGISTRATION].amount


@pytest.fixture(scope="module")
def throttling_server(environ: dict[str, str]) -> Iterator[Server]:
    more = {"COATCHECK_THROTTLING": "on", "COATCHECK_TRUSTED_PROXIES": "1"}
    more["COATCHECK_HASHING_WAIT"] = "10"
    with (
        TemporaryDirectory(prefix="coatcheck-throttling-") as directory,
        gunicorn(Path(directory), environ | more, workers=3) as server,
    ):
        yield server


class Visitor:
    """A client with cookies, at an address of its own."""

    def __init__(self, url: str) -> None:
        self.address = next(_addresses)
        self.http = httpx.Client(base_url=url, verify=NO_TLS, timeout=30)

    def send(
        self, method: str, path: str, address: str | None = None, **more: object
    ) -> httpx.Response:
        headers = {"X-Forwarded-For": address or self.address, **more.pop("headers", {})}  # type: ignore[dict-item]
        return self.http.request(method, path, headers=headers, **more)  # type: ignore[arg-type]

    def register(self) -> str:
        """A new account, signed in; its name."""
        name = fresh_name()
        registered = self.send("POST", "/api/v1/accounts", json=credentials(name))
        assert registered.status_code == 201
        return name

    def sign_in(
        self, name: str, password: str = PASSWORD, address: str | None = None
    ) -> httpx.Response:
        body = credentials(name, password)
        return self.send("POST", "/api/v1/sessions", address, json=body)


class Site:
    """The service, and everybody who visits it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._visitors: list[Visitor] = []

    def visitor(self) -> Visitor:
        self._visitors.append(Visitor(self.url))
        return self._visitors[-1]

    def close(self) -> None:
        for visitor in self._visitors:
            visitor.http.close()


@pytest.fixture
def site(throttling_server: Server, database: psycopg.Connection, redis: Redis) -> Iterator[Site]:
    site = Site(throttling_server.url)
    yield site
    site.close()


def credentials(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"username": name, "password": password}


def count(site: Site, metric: str, **labels: str) -> float:
    text = httpx.get(f"{site.url}/metrics", verify=NO_TLS).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == metric and labels.items() <= sample.labels.items()
    )


def guesses(site: Site, name: str, addresses: list[str]) -> Counter[int]:
    """A thousand wrong passwords at once, and how they were answered."""
    visitors = [site.visitor() for _ in range(CLIENTS)]

    def attempt(number: int) -> int:
        visitor = visitors[number % CLIENTS]
        address = addresses[number % len(addresses)]
        return visitor.sign_in(name, WRONG, address).status_code

    with ThreadPoolExecutor(CLIENTS) as pool:
        return Counter(pool.map(attempt, range(ATTEMPTS)))


def problem_code(response: httpx.Response) -> str:
    assert response.headers["content-type"] == "application/problem+json"
    return str(response.json()["code"])


def test_a_thousand_parallel_guesses_from_one_network_get_ten_answers(site: Site) -> None:
    """No stranger can lock the owner out of a known device meanwhile."""
    owner = site.visitor()
    name = owner.register()
    before = count(site, "coatcheck_password_hashes_total", kind="verify")
    with ThreadPoolExecutor(1) as background:
        answers = background.submit(guesses, site, name, [next(_addresses)])
        signed_in = [owner.sign_in(name).status_code for _ in range(5)]
        found = answers.result(60)
    assert signed_in == [201] * 5
    assert found == {401: 10, 429: ATTEMPTS - 10}
    assert count(site, "coatcheck_password_hashes_total", kind="verify") - before == 15


def test_a_thousand_parallel_guesses_from_a_hundred_networks_get_what_the_account_allows(
    site: Site,
) -> None:
    owner = site.visitor()
    name = owner.register()
    before = count(site, "coatcheck_password_hashes_total", kind="verify")
    with ThreadPoolExecutor(1) as background:
        answers = background.submit(guesses, site, name, [next(_addresses) for _ in range(100)])
        signed_in = [owner.sign_in(name).status_code for _ in range(5)]
        found = answers.result(60)
    assert signed_in == [201] * 5
    # Each success of the owner ends a row of failures, and none gives a stranger another guess.
    assert found[401] <= TABLE[Limited.LOGIN_ACCOUNT].amount
    assert set(found) == {401, 429}
    hashes = count(site, "coatcheck_password_hashes_total", kind="verify") - before
    assert hashes == found[401] + 5


def test_the_addresses_of_one_ipv6_network_count_as_one(site: Site) -> None:
    stranger = site.visitor()
    found = [
        stranger.sign_in("nobody", WRONG, f"2001:db8:0:77::{n:x}").status_code for n in range(14)
    ]
    assert found == [401] * 10 + [429] * 4


def test_an_invented_address_helps_nobody(site: Site) -> None:
    """Only what the trusted proxy adds at the right end of X-Forwarded-For counts."""
    stranger, own = site.visitor(), next(_addresses)
    found = [
        stranger.sign_in("nobody", WRONG, f"203.0.113.{n}, {own}").status_code for n in range(14)
    ]
    assert found == [401] * 10 + [429] * 4


def test_a_rejection_says_when_to_come_back_and_which_limit_it_was(site: Site) -> None:
    stranger = site.visitor()
    for _ in range(10):
        stranger.sign_in("nobody", WRONG)
    refusal = stranger.sign_in("nobody", WRONG)
    assert refusal.status_code == 429
    assert problem_code(refusal) == "too_many_requests"
    wait = int(refusal.headers["Retry-After"])
    assert 20 <= wait <= 30
    assert refusal.headers["RateLimit-Policy"] == '"login-network";q=10;w=300'
    assert refusal.headers["RateLimit"] == f'"login-network";r=0;t={wait}'
    assert refusal.json()["detail"] == f"Too many attempts. Try again in {wait} seconds."
    assert "set-cookie" not in refusal.headers


def test_the_sign_in_page_explains_a_rejection_and_keeps_the_form(site: Site) -> None:
    stranger = site.visitor()
    form = credentials("Grace", WRONG)
    for _ in range(10):
        assert stranger.send("POST", "/login", data=form, headers=PAGE).status_code == 401
    refusal = stranger.send("POST", "/login", data=form, headers=PAGE)
    assert refusal.status_code == 429
    assert refusal.headers["Retry-After"]
    assert "Too many attempts. Try again in" in refusal.text
    assert 'value="Grace"' in refusal.text
    assert WRONG not in refusal.text


def test_registrations_are_limited_by_network_on_the_loop_and_in_flask_alike(
    site: Site,
) -> None:
    """Those with an Origin always go to Flask, the others seldom do; each is charged once."""
    visitor = site.visitor()
    name = visitor.register()
    to_flask = {"Origin": site.url}
    found = [
        visitor.send("POST", "/api/v1/accounts", json=credentials(name), headers=headers)
        for headers in ({}, to_flask) * (REGISTRATIONS // 2 + 5)
    ]
    statuses = [each.status_code for each in found]
    assert statuses[: REGISTRATIONS - 2] == [409] * (REGISTRATIONS - 2)
    assert statuses[-5:].count(429) >= 3
    refused = next(each for each in found if each.status_code == 429)
    assert problem_code(refused) == "too_many_requests"
    assert refused.headers["RateLimit-Policy"] == '"registration";q=200;w=3600'


def test_no_other_site_uses_up_what_a_visitor_may_register(site: Site) -> None:
    """Its page could make the browser send these."""
    visitor = site.visitor()
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for _ in range(REGISTRATIONS + 2):
        refused = visitor.send("POST", "/api/v1/accounts", json={}, headers=foreign)
        assert refused.status_code == 403
    visitor.register()


def test_both_forms_of_registration_say_that_there_were_too_many(site: Site) -> None:
    visitor = site.visitor()
    for _ in range(REGISTRATIONS + 2):
        visitor.send("POST", "/api/v1/accounts", json={})
    page = visitor.send("POST", "/register", data=credentials("ada"), headers=PAGE)
    assert page.status_code == 429
    assert "Too many attempts. Try again in" in page.text
    assert 'value="ada"' in page.text
    tutorial = visitor.send("POST", "/register", json=credentials("ada"))
    assert tutorial.status_code == 429
    assert tutorial.json()["error"].startswith("Too many attempts.")
    assert tutorial.headers["Retry-After"]


@pytest.mark.parametrize(
    ("limit", "method", "path", "more"),
    [
        (Limited.AVAILABILITY, "GET", "/api/v1/usernames/bob", {}),
        (Limited.ANONYMOUS_SESSION, "PATCH", "/api/v1/sessions/current/data", {"json": {"a": 1}}),
    ],
)
def test_what_tells_names_or_costs_memory_is_limited_by_network(
    site: Site, limit: Limited, method: str, path: str, more: dict[str, object]
) -> None:
    amount, visitor = TABLE[limit].amount, site.visitor()
    before = count(site, "coatcheck_throttled_requests_total", limit=limit)
    found = []
    for _ in range(amount + 10):
        found.append(visitor.send(method, path, **more).status_code)
        visitor.http.cookies.clear()
    assert found[:amount] == [200] * amount
    # While the test runs, time may give back a few.
    assert found.count(429) >= 5
    throttled = count(site, "coatcheck_throttled_requests_total", limit=limit) - before
    assert throttled == found.count(429)
    assert visitor.send(method, path, next(_addresses), **more).status_code == 200


def test_a_session_that_exists_may_be_written_to_more_often(site: Site) -> None:
    visitor = site.visitor()
    writes = [
        visitor.send("PATCH", "/api/v1/sessions/current/data", json={"n": n}).status_code
        for n in range(50)
    ]
    assert writes == [200] * 50


def test_signing_in_marks_the_device_and_the_mark_signs_nobody_in(site: Site) -> None:
    owner = site.visitor()
    signed_in = site.visitor().sign_in(owner.register())
    mark, session = (
        next(each for each in signed_in.headers.get_list("set-cookie") if each.startswith(name))
        for name in ("device=", "session=")
    )
    for attribute in ("HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=31536000"):
        assert attribute in mark
    assert "Max-Age" not in session
    stolen = {"Cookie": mark.partition(";")[0]}
    with httpx.Client(base_url=site.url, headers=stolen, verify=NO_TLS) as thief:
        assert thief.get("/api/v1/sessions/current").status_code == 401


def test_a_device_that_is_known_keeps_its_mark(site: Site) -> None:
    owner = site.visitor()
    again = owner.sign_in(owner.register())
    assert [each.partition("=")[0] for each in again.headers.get_list("set-cookie")] == ["session"]


def test_a_password_change_forgets_the_other_devices_and_keeps_this_one(site: Site) -> None:
    owner, elsewhere = site.visitor(), site.visitor()
    name = owner.register()
    elsewhere.sign_in(name)
    new = {"current_password": PASSWORD, "new_password": "a new pass phrase"}
    changed = owner.send("PUT", "/api/v1/account/password", json=new)
    assert changed.status_code == 204
    guesses(site, name, [next(_addresses) for _ in range(10)])
    assert elsewhere.sign_in(name, "a new pass phrase").status_code == 429
    assert owner.sign_in(name, "a new pass phrase").status_code == 201


def test_an_operator_unlocks_an_account(site: Site, redis: Redis, environ: dict[str, str]) -> None:
    """After a hundred failures, the owner gets in on a device of her own, or asks the operator."""
    owner, elsewhere = site.visitor(), site.visitor()
    name = owner.register()
    while True:
        refusal = elsewhere.sign_in(name, WRONG, next(_addresses))
        if "Too many wrong passwords in a row" in refusal.json()["detail"]:
            break
        if refusal.status_code == 429:  # let an hour pass
            redis.delete(*redis.scan_iter("coatcheck:{throttle}:login-account:*"))
    assert elsewhere.sign_in(name).status_code == 429
    assert "Retry-After" not in refusal.headers  # waiting does not help
    page = elsewhere.send("POST", "/login", data=credentials(name), headers=PAGE)
    assert "Sign in on a device on which you have signed in before" in page.text
    command = [sys.executable, "-m", "service", "accounts", "unlock", name]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**environ, "COATCHECK_THROTTLING": "on"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, f"Unblocked {name}.\n"), done.stderr
    assert elsewhere.sign_in(name).status_code == 201
