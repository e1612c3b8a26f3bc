"""As much of both wire protocols as is needed to separate one request from the next and to see
which step of a registration or of a session it is.

Redis: RESP2 (redis.io, "Redis serialization protocol"). Postgres: version 3 of its protocol
(PostgreSQL documentation, "Message Formats"); a request ends with Sync or Query, a reply with
ReadyForQuery.
"""

from __future__ import annotations

import hashlib
import re
from asyncio import StreamReader
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.servers import ROOT

SCRIPTS = {
    hashlib.sha1(script.read_bytes()).hexdigest().encode(): script.stem
    for script in (ROOT / "service").glob("*/lua/*.lua")
}
COMMANDS = {b"GET": "state", b"SET": "publish", b"DEL": "release", b"HGETALL": "read"}
KEY = re.compile(rb"coatcheck:(?:username:(.+)|\{(.{12})\}:.*)", re.DOTALL)
STATEMENTS = {  # the first that matches
    "insert": re.compile(rb"INSERT INTO ACCOUNTS"),
    "select": re.compile(rb"\A\s*SELECT"),
    "change": re.compile(rb"SET PASSWORD_HASH = \$1, SESSION_EPOCH"),
    "raise": re.compile(rb"SESSION_EPOCH = SESSION_EPOCH \+ 1"),
}


@dataclass(frozen=True)
class Request:
    """What a worker sends before it waits for a reply."""

    data: bytes
    # A value of SCRIPTS or COMMANDS, or a key of STATEMENTS.
    step: str | None = None
    name: str | None = None  # the canonical username or the locator in the request


class WireProtocol(Protocol):
    """The protocol on one connection. Both methods raise IncompleteReadError when it ends."""

    async def request(self, reader: StreamReader) -> Request:
        """Read one request."""

    async def reply(self, reader: StreamReader, raw: bytearray) -> None:
        """Read the reply to one request into `raw` as it arrives."""


class RedisProtocol:
    """RESP2."""

    def __init__(self, names: re.Pattern[str]) -> None:
        self._names = names

    async def request(self, reader: StreamReader) -> Request:
        """See WireProtocol."""
        raw = bytearray()
        words = await _resp(reader, raw)
        command = words[0].upper()
        scripted = command in (b"EVALSHA", b"EVAL")
        key = words[3] if scripted and len(words) > 3 else words[1] if len(words) > 1 else b""
        if not (match := KEY.fullmatch(key)):
            return Request(bytes(raw))
        step = SCRIPTS.get(words[1]) if scripted else COMMANDS.get(command)
        name = (match[1] or match[2]).decode()
        return Request(bytes(raw), step, name if self._names.fullmatch(name) else None)

    async def reply(self, reader: StreamReader, raw: bytearray) -> None:
        """See WireProtocol."""
        await _resp(reader, raw)


async def _resp(reader: StreamReader, raw: bytearray) -> list[bytes]:
    """Read one value into `raw`; returns its words, flattened."""
    line = await reader.readuntil(b"\r\n")
    raw += line
    kind, rest = line[:1], line[1:-2]
    if kind == b"*":
        return [word for _ in range(int(rest)) for word in await _resp(reader, raw)]
    if kind == b"$" and int(rest) >= 0:
        body = await reader.readexactly(int(rest) + 2)
        raw += body
        return [body[:-2]]
    return [rest]


class PostgresProtocol:
    """The frontend/backend protocol, on a connection without TLS."""

    def __init__(self, names: re.Pattern[str]) -> None:
        self._names = names
        self._started = False
        self._prepared: dict[bytes, bytes] = {}

    async def request(self, reader: StreamReader) -> Request:
        """See WireProtocol."""
        if not self._started:
            self._started = True
            length = await reader.readexactly(4)
            return Request(length + await reader.readexactly(int.from_bytes(length) - 4))
        raw, step, name = bytearray(), None, None
        while True:
            kind, body = await _message(reader, raw)
            if kind == b"P":
                statement, sql, _ = body.split(b"\0", 2)
                self._prepared[statement] = sql
            elif kind == b"B":
                _, statement, rest = body.split(b"\0", 2)
                step, name = self._step(statement, _parameters(rest))
            if kind in b"QSX":
                return Request(bytes(raw), step, name)

    async def reply(self, reader: StreamReader, raw: bytearray) -> None:
        """See WireProtocol."""
        while (await _message(reader, raw))[0] != b"Z":
            pass

    def _step(self, statement: bytes, parameters: Sequence[bytes]) -> tuple[str | None, str | None]:
        sql = self._prepared.get(statement, b"").upper()
        found = (step for step, pattern in STATEMENTS.items() if pattern.search(sql))
        step = next(found, None)
        words = [parameter.decode(errors="replace") for parameter in parameters]
        return step, next((word for word in words if self._names.fullmatch(word)), None)


async def _message(reader: StreamReader, raw: bytearray) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    raw += head
    body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
    raw += body
    return head[:1], body


def _parameters(rest: bytes) -> list[bytes]:
    """The values of a Bind message, starting at its format codes; NULL is left out."""
    at = 2 + 2 * int.from_bytes(rest[:2])
    count, at = int.from_bytes(rest[at : at + 2]), at + 2
    values = []
    for _ in range(count):
        size = int.from_bytes(rest[at : at + 4], signed=True)
        at += 4
        if size >= 0:
            values.append(rest[at : at + size])
            at += size
    return values
