"""A browser, or a program that keeps its cookies, somewhere on the network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.passwords import PASSWORD
from tests.servers import NO_TLS

API = "/api/v1"


class Visitor:
    """Sends one request after another. Its address is what the proxy in front of the service says.

    Attributes:
        url: of the service.
        received: the values of all cookies that it has got, which nobody else may know.
    """

    def __init__(self, url: str, address: str | None = None) -> None:
        headers = {"X-Forwarded-For": address} if address else {}
        self.url = url
        self._http = httpx.Client(base_url=url, headers=headers, verify=NO_TLS, timeout=30)
        self.received: set[str] = set()

    def request(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Send a request of any kind."""
        response = self._http.request(method, path, **content)
        for header in response.headers.get_list("set-cookie"):
            value = header.partition("=")[2].partition(";")[0]
            self.received |= {value} - {""}
        return response

    def api(self, method: str, path: str, json: Any = None, **headers: str) -> httpx.Response:
        """Send a request to the JSON API; an underscore in a header's name stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request(method, API + path, json=json, headers=named)

    def register(self, username: str, password: str = PASSWORD, **headers: str) -> httpx.Response:
        """Register and be signed in."""
        body = {"username": username, "password": password}
        return self.api("POST", "/accounts", body, **headers)

    def sign_in(self, username: str, password: str = PASSWORD) -> httpx.Response:
        """Sign in with a password."""
        return self.api("POST", "/sessions", {"username": username, "password": password})

    def is_signed_in(self) -> bool:
        """Whether the service knows who this is."""
        return self.api("GET", "/sessions/current").status_code == 200

    @property
    def cookies(self) -> dict[str, str]:
        """What the browser keeps now."""
        return dict(self._http.cookies)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()


@contextmanager
def visitor(url: str, address: str | None = None) -> Iterator[Visitor]:
    """A visitor whose connections are closed at the end."""
    someone = Visitor(url, address)
    try:
        yield someone
    finally:
        someone.close()
