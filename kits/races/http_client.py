"""An HTTP client that sends each request on a connection of its own."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPMessage
from typing import Any
from urllib.parse import urlencode, urlsplit

from kits.races.history import History

JSON, FORM = "application/json", "application/x-www-form-urlencoded"
REQUEST_TIMEOUT = 15.0  # seconds; the service gives up before that
METRIC = re.compile(r"^(\w+)(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


@dataclass(frozen=True)
class Response:
    """What came back. If nothing did, there is no status, and `error` says why."""

    status: int | None = None
    body: Any = None
    error: str | None = None
    headers: HTTPMessage = field(default_factory=HTTPMessage)

    @property
    def members(self) -> dict[str, Any]:
        """The JSON object in the body; empty if there is none."""
        return self.body if isinstance(self.body, dict) else {}


class HttpClient:
    """Sends each request on a connection of its own, so that any worker may get it. Any thread may
    use it."""

    def __init__(self, url: str, history: History) -> None:
        parts = urlsplit(url)
        self._connect: Callable[..., http.client.HTTPConnection] = http.client.HTTPConnection
        if parts.scheme == "https":
            tls = ssl.create_default_context()  # once: it is slow
            self._connect = partial(http.client.HTTPSConnection, context=tls)
        self._address, self._path = parts.netloc, parts.path.rstrip("/")
        self._history = history

    def metric(self, name: str) -> int | None:
        """A counter of the service, summed over its labels; None if /metrics is not available."""
        response = self._send("GET", "/metrics")
        if response.status != 200:
            return None
        values = [value for found, value in METRIC.findall(response.body) if found == name]
        return sum(int(float(value)) for value in values)

    def is_ready(self) -> bool:
        """Whether the service reports that it is fully ready."""
        response = self._send("GET", "/readyz")
        return response.status == 200 and response.body.get("status") == "ready"

    def _send(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = REQUEST_TIMEOUT,
        content_type: str = JSON,
    ) -> Response:
        headers = {"Accept": "application/json", "Connection": "close"} | (headers or {})
        encoded = None
        if body is not None:
            headers["Content-Type"] = content_type
            encoded = (json.dumps if content_type == JSON else urlencode)(body).encode()
        connection = self._connect(self._address, timeout=timeout)
        try:
            connection.request(method, self._path + path, encoded, headers)
            response = connection.getresponse()
            return Response(response.status, _content(response), headers=response.headers)
        except (OSError, http.client.HTTPException, ValueError) as problem:
            return Response(error=f"{type(problem).__name__}: {problem}")
        finally:
            connection.close()


def _content(response: http.client.HTTPResponse) -> Any:
    text = response.read().decode()
    return json.loads(text) if "json" in response.headers.get("Content-Type", "") else text
