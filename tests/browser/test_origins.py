"""What a real browser says about where a form comes from, and where it keeps a Secure cookie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect
from redis import Redis

from tests.passwords import BOB, PASSWORD
from tests.ports import free_port
from tests.servers import Server, gunicorn

EVIL = "http://evil.example/"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(locale="en")
    page.set_default_timeout(10_000)
    yield page
    page.close()


@pytest.fixture
def trial(
    tmp_path: Path, environ: dict[str, str], database: psycopg.Connection, redis: Redis
) -> Iterator[str]:
    """The address of a production service that somebody tries on their own machine."""
    port = free_port()
    url = f"http://localhost:{port}"
    more = {
        "COATCHECK_ENV": "production",
        "COATCHECK_PUBLIC_URL": url,
        "COATCHECK_ARGON2_MEMORY_KIB": "19456",
    }
    with gunicorn(tmp_path, environ | more, workers=1, port=port):
        yield url


def register(page: Page, url: str) -> dict[str, str]:
    """Fill in the form; returns the headers of the request that it sends."""
    page.goto(f"{url}/register")
    page.get_by_label("Username").fill("Bob")
    page.get_by_label("Password").fill(PASSWORD)
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("navigation")).to_contain_text("Signed in as Bob")
    return sent.value.all_headers()


def test_chromium_keeps_the_secure_cookie_of_a_trial_on_localhost(page: Page, trial: str) -> None:
    headers = register(page, trial)
    assert headers["origin"] == trial  # although the Referrer-Policy is same-origin
    assert headers["sec-fetch-site"] == "same-origin"
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["secure"]) == ("__Host-session", True)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_in_development_any_name_of_this_machine_will_do(
    page: Page, server: Server, name: str
) -> None:
    url = server.url.replace("127.0.0.1", name)
    assert register(page, url)["origin"] == url


@pytest.mark.parametrize("policy", ["no-referrer", "same-origin", "unsafe-url"])
def test_a_form_on_another_site_is_rejected(page: Page, server: Server, policy: str) -> None:
    with server.client() as client:
        client.post("/api/v1/accounts", json=BOB)
    fields = "".join(f'<input name="{name}" value="{value}">' for name, value in BOB.items())
    form = f'<form method="post" action="{server.url}/login">{fields}<button>Win</button></form>'
    head = {"Content-Type": "text/html", "Referrer-Policy": policy}
    page.route(EVIL, lambda route: route.fulfill(body=form, headers=head))
    page.goto(EVIL)
    with page.expect_response(f"{server.url}/login") as answered:
        page.get_by_role("button").click()
    assert answered.value.status == 403
    assert page.context.cookies() == []
