"""Several real workers: what one of them knows, all of them know."""

from __future__ import annotations

import re
import threading
from collections import Counter
from typing import Any

import httpx
import msgspec
import psycopg
from redis import Redis

from tests.passwords import PASSWORD
from tests.servers import Server

WORKERS = 3


def register(server: Server, username: str) -> httpx.Response:
    with server.client() as client:
        return client.post("/api/v1/accounts", json={"username": username, "password": PASSWORD})


def ask(server: Server, method: str, path: str, cookie: str, **more: Any) -> httpx.Response:
    """The response on a new connection, for which the kernel picks a worker."""
    with server.client() as client:
        return client.request(method, path, headers={"Cookie": f"session={cookie}"}, **more)


def test_every_worker_reads_the_session_that_one_of_them_wrote(server: Server) -> None:
    cookie = register(server, "victor").cookies["session"]
    ask(server, "POST", "/note/hat", cookie)
    notes: dict[int, str] = {}
    for _ in range(500):
        response = ask(server, "GET", "/note", cookie).json()
        notes[response["pid"]] = response["note"]
        if len(notes) == WORKERS:
            break
    assert set(notes) == server.workers()
    assert set(notes.values()) == {"hat"}


def test_of_200_registrations_of_one_name_one_wins(
    server: Server, database: psycopg.Connection
) -> None:
    """G1: one winner, in four spellings and across three workers."""
    attempts = 200
    barrier = threading.Barrier(attempts)
    statuses: Counter[int] = Counter()
    spellings = ["winner", "Winner", "WINNER", "wInNeR"]

    def attempt(number: int) -> None:
        barrier.wait(30)
        statuses[register(server, spellings[number % len(spellings)]).status_code] += 1

    threads = [threading.Thread(target=attempt, args=(number,)) for number in range(attempts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == {201: 1, 409: 199}
    rows = database.execute("SELECT canonical_username FROM accounts").fetchall()
    assert rows == [("winner",)]


def test_the_cookie_is_an_id_and_redis_holds_neither_id_nor_pickle(
    server: Server, redis: Redis
) -> None:
    """G8: a stolen Redis dump logs no one in."""
    cookie = register(server, "trent").cookies["session"]
    assert re.fullmatch(r"[A-Za-z0-9_-]{55}", cookie)
    ask(server, "POST", "/note/hat", cookie)
    secret = cookie[12:].encode()
    sessions = 0
    for key in redis.scan_iter():
        assert secret not in key
        assert secret not in redis.dump(key)
        if redis.type(key) == b"hash":
            sessions += 1
            fields = redis.hgetall(key)
            for name in (b"created", b"seen", b"deadline"):
                assert fields.pop(name).isdigit()
            for value in fields.values():
                msgspec.msgpack.decode(value)
                assert not value.startswith((b"\x80\x04", b"\x80\x05"))
    assert sessions == 1


def test_no_secret_reaches_the_log(server: Server) -> None:
    cookie = register(server, "trudy").cookies["session"]
    ask(server, "GET", f"/?password={PASSWORD}", cookie)
    ask(server, "POST", "/login", cookie, data={"username": "trudy", "password": PASSWORD})
    ask(server, "GET", "/nowhere", f"{cookie};\x01")
    log = server.log.read_text()
    assert "/login" in log
    assert PASSWORD not in log
    assert cookie[12:] not in log
