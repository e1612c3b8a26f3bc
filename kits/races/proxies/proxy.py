"""The connections that pass through the proxies, and the rules by which some of them break.

A rule does one thing at exactly one step of a registration or of a session: kill the worker, cut
its connection, swallow, delay or hold what passes. On a Unix socket the kernel tells whose
connection it is (SO_PEERCRED, unix(7)). The idea is that of Toxiproxy (Shopify), with rules that
know what the bytes mean.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import struct
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from kits.races.proxies.protocols import PostgresWire, RedisWire, Request, Wire

WIRES: dict[str, Any] = {"redis": RedisWire, "postgres": PostgresWire}


@dataclass(frozen=True)
class Rule:
    """What to do, at which moment of which step.

    The moments: `request`, before a request is passed on; `sent`, right after; `reply`, before the
    reply is passed on; `answered`, right after. The actions: kill, cut, drop, delay, hold (until
    the rule ends), note (nothing).
    """

    engine: str  # redis or postgres
    moment: str
    action: str
    step: str | None = None  # None: any
    name: str | None = None  # None: any
    seconds: float = 0.0  # of a delay
    times: int = 1_000_000
    reply: bytes = b""  # only if it holds this

    def fits(self, engine: str, moment: str, request: Request, reply: bytes) -> bool:
        """Whether it is for this moment."""
        return (
            (self.engine, self.moment) == (engine, moment)
            and self.step in (None, request.step)
            and self.name in (None, request.name)
            and self.reply in reply
        )


@dataclass
class Armed:
    """A rule in force, and the connections on which it struck, in that order."""

    rule: Rule
    struck: list[Link] = field(default_factory=list)


class Severed(Exception):
    """The connection ends here."""


class Switchboard:
    """Every connection of both proxies, the rules in force, and what passed."""

    def __init__(self, names: str) -> None:
        self.names = re.compile(names)
        self.armed: dict[int, Armed] = {}
        self.severed: set[str] = set()
        self.links: set[Link] = set()
        self.inserts: Counter[str | None] = Counter()  # passed on, by name

    def arm(self, number: int, rule: Rule) -> None:
        """Put a rule in force."""
        self.armed[number] = Armed(rule)

    def disarm(self, number: int) -> int:
        """End a rule; what it holds goes on. Returns how often it struck."""
        return len(self.armed.pop(number).struck)

    def hits(self, number: int) -> int:
        """How often a rule struck so far."""
        return len(self.armed[number].struck)

    def cut_first(self, number: int) -> None:
        """Cut the connection on which a rule struck first."""
        for link in self.armed[number].struck[:1]:
            link.close()

    def kill_first(self, number: int) -> None:
        """Kill the worker on which a rule struck first."""
        for link in self.armed[number].struck[:1]:
            link.kill()

    def sever(self, engine: str) -> None:
        """Cut every connection to an engine and refuse new ones."""
        self.severed.add(engine)
        for link in list(self.links):
            if link.engine == engine:
                link.close()

    def mend(self, engine: str) -> None:
        """Refuse none any more."""
        self.severed.discard(engine)

    def inserted(self, name: str) -> int:
        """How many INSERTs of a name were passed on."""
        return self.inserts[name]


class Link:
    """One connection of a worker, and the one to the engine that belongs to it."""

    def __init__(self, board: Switchboard, engine: str, streams: tuple[Any, Any, Any, Any]) -> None:
        self.board, self.engine = board, engine
        self.worker, self.to_worker, self.server, self.to_server = streams
        credentials = self.to_worker.get_extra_info("socket").getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
        )
        self.pid = struct.unpack("3i", credentials)[0]
        self.wire: Wire = WIRES[engine](board.names)
        self.waiting: deque[Request] = deque()  # for their replies

    async def run(self) -> None:
        """Pass on both ways until either side ends."""
        self.board.links.add(self)
        tasks = [asyncio.create_task(each) for each in (self._upstream(), self._downstream())]
        try:
            if self.engine not in self.board.severed:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.board.links.discard(self)
            self.close()

    def close(self) -> None:
        """End both connections."""
        self.to_worker.close()
        self.to_server.close()

    def kill(self) -> None:
        """Kill the worker."""
        os.kill(self.pid, signal.SIGKILL)
        self.close()

    async def _upstream(self) -> None:
        while True:
            request = await self.wire.request(self.worker)
            if await self._act("request", request):
                self.board.inserts[request.name] += request.step == "insert"
                self.waiting.append(request)
                self.to_server.write(request.data)
                await self._act("sent", request)
                await self.to_server.drain()

    async def _downstream(self) -> None:
        while True:
            raw = bytearray()
            try:
                await self.wire.reply(self.server, raw)
            except asyncio.IncompleteReadError as ended:
                self.to_worker.write(bytes(raw) + ended.partial)
                raise
            request = self.waiting.popleft() if self.waiting else Request(b"")
            if await self._act("reply", request, bytes(raw)):
                self.to_worker.write(bytes(raw))
                await self._act("answered", request, bytes(raw))
                await self.to_worker.drain()

    async def _act(self, moment: str, request: Request, reply: bytes = b"") -> bool:
        """Do what the rules say; False: pass nothing on."""
        for number, armed in list(self.board.armed.items()):
            rule = armed.rule
            if len(armed.struck) >= rule.times or not rule.fits(
                self.engine, moment, request, reply
            ):
                continue
            armed.struck.append(self)
            if rule.action == "kill":
                self.kill()
            if rule.action in ("kill", "cut"):
                raise Severed
            if rule.action == "drop":
                return False
            await asyncio.sleep(rule.seconds)
            while rule.action == "hold" and number in self.board.armed:
                await asyncio.sleep(0.002)
        return True
