"""Whether a secret that a client holds appears anywhere on the server.

A secret is looked for as it is and in every form in which code usually stores or shows one:
decoded, in hexadecimal and, for what a person chose, as a plain digest, which is as good as the
password to whoever can guess.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress

import psycopg
from psycopg import sql
from redis import Redis

TAIL = 16  # bytes or characters, enough to know one secret from all others
DIGESTS = ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s")
TABLES = """
    SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


class Secrets:
    """What only the clients may know."""

    def __init__(self) -> None:
        self._forms: dict[bytes, str] = {}
        self.kinds: Counter[str] = Counter()

    def add_password(self, password: str) -> str:
        """Remember a password that somebody typed, and return it."""
        digests = (hashlib.new(name, password.encode()).digest() for name in DIGESTS)
        self.kinds["a password"] += 1
        self._add("a password", password.encode(), *(digest[:TAIL] for digest in digests))
        return password

    def add_token(self, kind: str, token: str) -> str:
        """Remember a token that a program made, and return it. Its tail is what is looked for: an
        id begins with a locator, which is no secret."""
        self.kinds[kind] += 1
        self._add(kind, token.encode()[-TAIL:])
        with suppress(binascii.Error):  # it is not base64
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            self._add(kind, raw[-TAIL:])
        return token

    def _add(self, kind: str, *forms: bytes) -> None:
        for form in forms:
            whole = form[: len(form) // 3 * 3]  # what base64 encodes without looking further
            encoded = (base64.b64encode(whole), base64.urlsafe_b64encode(whole))
            for each in (form, form.hex().encode(), *encoded):
                self._forms[each] = kind

    def found_in(self, places: Mapping[str, bytes]) -> list[str]:
        """What leaked where, without repeating it."""
        return sorted(
            {
                f"{kind} in {place}"
                for place, content in places.items()
                for form, kind in self._forms.items()
                if form in content
            }
        )


def redis_contents(redis: Redis) -> bytes:
    """Every key and every value."""
    return b"\n".join(part for key in redis.scan_iter() for part in (key, *_parts(redis, key)))


def _parts(redis: Redis, key: bytes) -> Iterator[bytes]:
    match redis.type(key):
        case b"string":
            yield redis.get(key) or b""
        case b"hash":
            for pair in redis.hgetall(key).items():
                yield from pair
        case b"zset":
            yield from redis.zrange(key, 0, -1)
        case b"set":
            yield from redis.smembers(key)
        case b"list":
            yield from redis.lrange(key, 0, -1)
        case b"none":  # it has expired meanwhile
            return
        case other:
            raise AssertionError(f"{key!r} is a {other!r}, which nobody has searched")


def postgres_contents(superuser_url: str) -> bytes:
    """Every row of every table in a database."""
    rows = bytearray()
    with psycopg.connect(superuser_url) as connection:
        for schema, table in connection.execute(TABLES).fetchall():
            query = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT").format(
                sql.Identifier(schema, table)
            )
            with connection.cursor().copy(query) as copy:
                for data in copy:
                    rows += data
    return bytes(rows)
