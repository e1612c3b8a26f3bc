"""Everything that a person can do with a secret, so that a test can look for where it went."""

from __future__ import annotations

import secrets as random
from collections import Counter
from contextlib import ExitStack
from typing import Self

import httpx

from tests.leaks import Secrets
from tests.visitors import Visitor, visitor

MOST_GUESSES = 40  # more than any limit allows


class Journey:
    """One account, from its registration to its deletion, and what goes wrong on the way.

    Attributes:
        secrets: what it has typed and received.
        statuses: how often each was received.
    """

    def __init__(self, url: str, secrets: Secrets, username: str, address: str | None = None):
        self._url = url
        self.secrets = secrets
        self._username = username
        self._address = address
        self._password = self._new_password()
        self._stack = ExitStack()
        self.statuses: Counter[int] = Counter()

    def __enter__(self) -> Self:
        self._browser, self._phone, self._stranger = (self._visitor() for _ in range(3))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def cookies(self) -> dict[str, str]:
        """Those of the browser that has registered."""
        return self._browser.cookies

    def live(self) -> None:
        """Do everything but leave: sessions stay in Redis, and a row in Postgres."""
        self._register(self._browser)
        self._sign_in(self._phone)
        self._make_mistakes(self._phone)
        self._change_password(self._browser)
        self._step_up(self._browser)
        self._sign_in(self._phone)
        self._guess(self._stranger)

    def leave(self) -> None:
        """Sign out elsewhere, and delete the account."""
        browser = self._browser
        self._note(browser, browser.api("DELETE", "/sessions?scope=others"))
        self._note(browser, browser.api("DELETE", "/account", {"password": self._new_password()}))
        response = browser.api("DELETE", "/account", {"password": self._password})
        assert self._note(browser, response).status_code == 204, response.text

    def _visitor(self) -> Visitor:
        return self._stack.enter_context(visitor(self._url, self._address))

    def _new_password(self) -> str:
        return self.secrets.add_password(random.token_hex(12))

    def _note(self, who: Visitor, response: httpx.Response) -> httpx.Response:
        self.statuses[response.status_code] += 1
        for value in who.received:
            self.secrets.add_token("a cookie", value)
        who.received.clear()
        return response

    def _register(self, browser: Visitor) -> None:
        key = self.secrets.add_token("an idempotency key", random.token_urlsafe(24))
        for _ in range(2):  # the second is a repetition
            response = browser.register(self._username, self._password, Idempotency_Key=key)
            assert self._note(browser, response).status_code == 201, response.text
        rival = self._visitor()
        self._note(rival, rival.register(self._username, self._new_password()))

    def _sign_in(self, phone: Visitor) -> None:
        data = {"theme": "dark"}
        self._note(phone, phone.api("PATCH", "/sessions/current/data", data))  # anonymous
        self._note(phone, phone.sign_in(self._username, self._new_password()))
        fields = {"username": self._username, "password": self._password, "remember": "on"}
        self._note(phone, phone.request("POST", "/login", data=fields))
        assert phone.is_signed_in()
        self._note(phone, phone.api("PATCH", "/sessions/current/data", data))
        self._note(phone, phone.request("GET", "/account"))

    def _make_mistakes(self, phone: Visitor) -> None:
        """What a person types in the wrong place, or a program sends in the wrong form."""
        password, cookie = self._password, phone.cookies["session"]
        # Limits count by a digest of the name that was typed, so this one may leave one.
        typed = self.secrets.add_token("a password typed as a name", random.token_hex(12))
        requests = (
            ("POST", "/api/v1/sessions", {"json": {"username": typed, "password": password}}),
            ("POST", "/login", {"data": {"username": typed, "password": password}}),
            ("POST", "/api/v1/sessions", {"content": password.encode()}),
            ("POST", "/api/v1/accounts", {"json": {"username": [password], "password": password}}),
            ("POST", "/api/v1/accounts", {"json": {"username": "x", "password": password * 2000}}),
            ("GET", "/", {"params": {"password": password, "session": cookie}}),
            ("GET", "/login", {"headers": {"Authorization": f"Bearer {cookie}"}}),
            ("GET", "/nowhere", {"headers": {"Referer": f"{self._url}/?session={cookie}"}}),
            ("PUT", "/api/v1/account/password", {"json": {"current_password": password}}),
        )
        for method, path, content in requests:
            self._note(phone, phone.request(method, path, **content))

    def _change_password(self, browser: Visitor) -> None:
        for current, status in ((self._new_password(), 403), (self._password, 204)):
            new = self._new_password()
            body = {"current_password": current, "new_password": new}
            response = self._note(browser, browser.api("PUT", "/account/password", body))
            assert response.status_code == status, response.text
        self._password = new

    def _step_up(self, browser: Visitor) -> None:
        for password, status in ((self._new_password(), 403), (self._password, 204)):
            body = {"password": password}
            response = self._note(browser, browser.api("POST", "/sessions/current/step-up", body))
            assert response.status_code == status, response.text

    def _guess(self, stranger: Visitor) -> None:
        """Until the service has had enough."""
        for _ in range(MOST_GUESSES):
            response = stranger.sign_in(self._username, self._new_password())
            if self._note(stranger, response).status_code == 429:
                return
