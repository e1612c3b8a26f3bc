"""A person with a real browser: Chromium, driven by Playwright."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.passwords import PASSWORD
from tests.servers import Server


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    page = browser.new_page(base_url=server.url, locale="en")
    page.set_default_timeout(10_000)
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("requestfailed", lambda request: troubles.append(f"failed: {request.url}"))
    yield page
    page.close()
    assert troubles == []


def fill_in(page: Page, button: str, username: str, password: str) -> None:
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name=button).click()


def test_register_sign_out_and_sign_in_again(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Register").click()
    fill_in(page, "Register", "李雷", PASSWORD)
    expect(page.get_by_role("navigation")).to_contain_text("Signed in as 李雷")

    (cookie,) = page.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert page.evaluate("document.cookie") == ""

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading")).to_contain_text("Hand in your coat")
    assert page.context.cookies() == []

    page.get_by_role("link", name="Sign in").click()
    fill_in(page, "Sign in", "李雷", "wrong password")
    expect(page.get_by_role("alert")).to_have_text("The username or password is wrong.")
    expect(page.get_by_label("Username")).to_have_value("李雷")
    fill_in(page, "Sign in", "李雷", PASSWORD)
    expect(page.get_by_role("list")).to_contain_text("李雷")


def test_a_rejected_registration_says_what_to_change(page: Page) -> None:
    page.goto("/register")
    fill_in(page, "Register", "x", "short")
    expect(page.get_by_text("at least 2 characters")).to_be_visible()
    expect(page.get_by_text("at least 10 characters")).to_be_visible()
    fill_in(page, "Register", "Bob", PASSWORD)
    expect(page.get_by_role("navigation")).to_contain_text("Signed in as Bob")
