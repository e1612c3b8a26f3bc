"""One request to a WSGI application (PEP 3333) in a thread, and its response for ASGI 3.

A response of moderate, declared length is collected, so that the thread is soon free again. Any
other response is streamed in pieces, at the pace at which the client reads.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

import structlog

from service.front.asgi import ClientGone, RawHeaders, Scope, Send
from service.logs import loggable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

log = structlog.get_logger()

COLLECTED = 1024 * 1024  # bytes; a longer response is streamed
SEND_LIMIT = 30.0  # seconds that a streamed piece waits for the client


@dataclass
class WsgiResponse:
    """What the application responded. If it `was_streamed`, `sent` bytes are already sent."""

    status: int
    headers: RawHeaders
    body: bytes
    was_streamed: bool
    sent: int


TRUE = ("wsgi.input_terminated", "wsgi.multithread", "wsgi.multiprocess")
CONSTANTS = {"SCRIPT_NAME": "", "wsgi.version": (1, 0), "wsgi.run_once": False}
CONSTANTS |= dict.fromkeys(TRUE, True)


def environ_of(scope: Scope, body: bytes) -> WSGIEnvironment:
    """The environment of a request for WSGI (PEP 3333).

    RawHeaders change neither SCRIPT_NAME, which is empty, nor the scheme, which is that of the
    connection: only ProxyFix applies the headers of a proxy.
    """
    host, port = scope.get("server") or ("", None)
    client = scope.get("client") or ("", 0)
    path = scope["raw_path"]
    environ: WSGIEnvironment = {
        **CONSTANTS,
        "REQUEST_METHOD": scope["method"],
        # Each character stands for one byte.
        "PATH_INFO": (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": str(host),
        "SERVER_PORT": str(port or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
    }
    for name, value in scope["headers"]:
        key = _variable(name)
        text = value.decode("latin-1")
        if key in environ and key.startswith("HTTP_"):
            separator = "; " if key == "HTTP_COOKIE" else ", "
            text = environ[key] + separator + text
        if key != "CONTENT_LENGTH":
            environ[key] = text
    environ.pop("HTTP_TRANSFER_ENCODING", None)  # the body is complete
    environ.pop("HTTP_UPGRADE", None)  # ignoring it declines it (RFC 9110, section 7.8)
    return environ


@lru_cache(maxsize=256)
def _variable(name: bytes) -> str:
    variable = name.decode("latin-1").upper().replace("-", "_")
    return variable if variable in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{variable}"


@lru_cache(maxsize=256)
def _raw_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


class Exchange:
    """One request, which a thread carries out, and its response."""

    def __init__(
        self,
        application: WSGIApplication,
        environ: WSGIEnvironment,
        send: Send,
        loop: asyncio.AbstractEventLoop,
        is_wanted: Callable[[], bool],
    ) -> None:
        """
        Args:
            application: produces the response.
            environ: the request.
            send: from ASGI, for responses that are streamed.
            loop: runs `send`.
            is_wanted: whether the client is still connected, which `send` does not report.
        """
        self._is_wanted = is_wanted
        self._application = application
        self._environ = environ
        self._send, self._loop = send, loop
        self._status = 500
        self._headers: RawHeaders = []
        self._written: list[bytes] = []
        self._was_streamed = False
        self._sent = 0

    def carry_out(self) -> WsgiResponse:
        """Call the application.

        Raises:
            ClientGone: the client no longer reads the response.
            Whatever the application raises.
        """
        pieces = self._application(self._environ, self._start)
        try:
            body = self._collect(pieces)
        except Exception as error:
            if not self._was_streamed or isinstance(error, ClientGone):
                raise
            # Only closing the connection shows the client that the response is incomplete.
            log.exception("stream_failed", path=loggable(self._environ["PATH_INFO"]))
            raise ClientGone from error
        finally:
            if hasattr(pieces, "close"):
                pieces.close()
        return WsgiResponse(self._status, self._headers, body, self._was_streamed, self._sent)

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], object]:
        if exc_info and self._was_streamed:
            raise exc_info[1].with_traceback(exc_info[2])
        self._status = int(status[:3])
        self._headers = [(_raw_name(name), value.encode("latin-1")) for name, value in headers]
        return self._written.append

    def _collect(self, pieces: Iterable[bytes]) -> bytes:
        collected: list[bytes] = []
        size = 0
        for piece in pieces:
            if self._written:  # by the callable that start_response returned
                piece = b"".join(self._written) + piece
                self._written.clear()
            collected.append(piece)
            size += len(piece)
            if piece and (size > COLLECTED or not self._declares_length()):
                self._stream(b"".join(collected), more=True)
                collected, size = [], 0
        rest = b"".join([*collected, *self._written])
        if self._was_streamed:
            self._stream(rest, more=False)
            return b""
        return rest

    def _declares_length(self) -> bool:
        return any(name == b"content-length" for name, _ in self._headers)

    def _stream(self, piece: bytes, more: bool) -> None:
        sending = asyncio.run_coroutine_threadsafe(self._send_piece(piece, more), self._loop)
        try:
            sending.result(SEND_LIMIT)
        except TimeoutError:
            sending.cancel()
            raise ClientGone from None

    async def _send_piece(self, piece: bytes, more: bool) -> None:
        if not self._is_wanted():
            raise ClientGone
        if not self._was_streamed:
            self._was_streamed = True
            await self._send(start_message(self._status, self._headers))
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        self._sent += len(piece)


def start_message(status: int, headers: RawHeaders) -> dict[str, Any]:
    """The first ASGI message of a response."""
    return {"type": "http.response.start", "status": status, "headers": headers}
