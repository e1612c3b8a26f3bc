"""The connections that pass through the proxy, and the rules by which some of them break.

On a Unix socket the kernel reveals which process connects (SO_PEERCRED, unix(7)), so a rule can
kill that worker. The idea comes from Toxiproxy (Shopify); these rules also understand the bytes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import struct
from collections import Counter, deque
from dataclasses import dataclass, field
from re import Pattern
from typing import Any

from kits.races.proxy.protocols import PostgresProtocol, RedisProtocol, Request, WireProtocol
from kits.races.proxy.rule import Rule

PROTOCOLS: dict[str, Any] = {"redis": RedisProtocol, "postgres": PostgresProtocol}


@dataclass
class ActiveRule:
    """A rule in force, and the connections that it has hit, in order."""

    rule: Rule
    hit: list[Connection] = field(default_factory=list)


class ConnectionCut(Exception):
    """A rule ends the connection here."""


class Proxy:
    """Every connection to both engines, the rules in force, and the INSERTs that passed."""

    def __init__(self, names: Pattern[str]) -> None:
        self.names = names
        self.rules: dict[int, ActiveRule] = {}
        self.unreachable: set[str] = set()
        self.connections: set[Connection] = set()
        self.inserts: Counter[str | None] = Counter()  # by name

    def add_rule(self, number: int, rule: Rule) -> None:
        """Put a rule in force."""
        self.rules[number] = ActiveRule(rule)

    def remove_rule(self, number: int) -> int:
        """End a rule, and release what it holds; returns how often it was hit."""
        return len(self.rules.pop(number).hit)

    def hits(self, number: int) -> int:
        """How often a rule has been hit so far."""
        return len(self.rules[number].hit)

    def cut_first(self, number: int) -> None:
        """Cut the first connection that a rule has hit."""
        for connection in self.rules[number].hit[:1]:
            connection.close()

    def kill_first(self, number: int) -> None:
        """Kill the first worker that a rule has hit."""
        for connection in self.rules[number].hit[:1]:
            connection.kill()

    def disconnect(self, engine: str) -> None:
        """Cut every connection to an engine, and refuse new ones."""
        self.unreachable.add(engine)
        for connection in list(self.connections):
            if connection.engine == engine:
                connection.close()

    def reconnect(self, engine: str) -> None:
        """Accept connections to an engine again."""
        self.unreachable.discard(engine)

    def inserted(self, name: str) -> int:
        """How many INSERTs of a name have passed."""
        return self.inserts[name]


class Connection:
    """A worker's connection, and the matching one to the engine."""

    def __init__(self, proxy: Proxy, engine: str, streams: tuple[Any, Any, Any, Any]) -> None:
        self.proxy, self.engine = proxy, engine
        self.worker, self.to_worker, self.server, self.to_server = streams
        credentials = self.to_worker.get_extra_info("socket").getsockopt(
            socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")
        )
        self.pid = struct.unpack("3i", credentials)[0]
        self.protocol: WireProtocol = PROTOCOLS[engine](proxy.names)
        self.waiting: deque[Request] = deque()  # for their replies

    async def run(self) -> None:
        """Pass bytes on in both directions until either side ends."""
        self.proxy.connections.add(self)
        tasks = [asyncio.create_task(each) for each in (self._upstream(), self._downstream())]
        try:
            if self.engine not in self.proxy.unreachable:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self.proxy.connections.discard(self)
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
            request = await self.protocol.request(self.worker)
            if await self._apply_rules("request", request):
                self.proxy.inserts[request.name] += request.step == "insert"
                self.waiting.append(request)
                self.to_server.write(request.data)
                await self._apply_rules("sent", request)
                await self.to_server.drain()

    async def _downstream(self) -> None:
        while True:
            raw = bytearray()
            try:
                await self.protocol.reply(self.server, raw)
            except asyncio.IncompleteReadError as ended:
                self.to_worker.write(bytes(raw) + ended.partial)
                raise
            request = self.waiting.popleft() if self.waiting else Request(b"")
            if await self._apply_rules("reply", request, bytes(raw)):
                self.to_worker.write(bytes(raw))
                await self._apply_rules("answered", request, bytes(raw))
                await self.to_worker.drain()

    async def _apply_rules(self, moment: str, request: Request, reply: bytes = b"") -> bool:
        """Do what the rules say; False means that nothing is passed on."""
        for number, active in list(self.proxy.rules.items()):
            rule = active.rule
            if len(active.hit) >= rule.times or not rule.fits(self.engine, moment, request, reply):
                continue
            active.hit.append(self)
            if rule.action == "kill":
                self.kill()
            if rule.action in ("kill", "cut"):
                raise ConnectionCut
            if rule.action == "drop":
                return False
            await asyncio.sleep(rule.seconds)
            while rule.action == "hold" and number in self.proxy.rules:
                await asyncio.sleep(0.002)
        return True
