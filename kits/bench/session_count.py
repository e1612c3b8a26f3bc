"""What a session check costs with few and with many live sessions, and the memory of each."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec
from redis import Redis

from kits.bench import accounts
from kits.bench.contender import COATCHECK, Contender, Engines
from kits.bench.growth import KEYS, VALUE
from kits.bench.measurement import Load, get_with_cookies, in_turn
from kits.bench.section import Section, at_least
from kits.bench.session_checks import VERIFY
from kits.command import Effort, Say
from kits.hasher import settings
from service.sessions.ids import new_locator
from service.sessions.record import Client, NewSession, Owner
from service.sessions.rules import Limits, SessionRules
from service.sessions.store import SessionStore

SIZES = (1_000, 100_000, 1_000_000)
VISITED = 1_000  # of each size, so that the number of touches does not depend on the size
BATCH = 1_000
WEIGHED = 10_000  # sessions, to weigh one with keys
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
LEAST = 0.9  # of the rate with the fewest sessions


class PipelinedScripts:
    """Stands in for a Redis client, so that a store can create sessions without waiting for
    each."""

    def __init__(self, redis: Redis) -> None:
        self.pipeline = redis.pipeline(transaction=False)

    def register_script(self, text: str) -> Callable[..., int]:
        script = self.pipeline.register_script(text)

        def enqueue(keys: Sequence[Any], args: Sequence[Any]) -> int:
            script(keys=keys, args=args)
            return 1  # stands for a time that the store does not use

        return enqueue


def sizes(engines: Engines, effort: Effort, say: Say) -> Section:
    """Keep each number of sessions in a Redis of its own, side by side."""
    notes = []
    with ExitStack() as stack:
        loads = []
        for size in SIZES:
            place = stack.enter_context(engines.with_another_redis())
            say(f"Filling a Redis with {size} sessions")
            ids, memory = fill(place.redis, size)
            notes.append(_memory(memory, f"one of {size} sessions"))
            loads += _loads(stack.enter_context(place.serve(COATCHECK)), ids)
        results = in_turn(loads, effort, say)
    for keys in KEYS:
        with engines.with_another_redis() as place:
            _, memory = fill(place.redis, WEIGHED, keys)
        notes.append(_memory(memory, f"a session of {keys} keys"))
    verdicts = [at_least(results[-2], LEAST, results[0])]
    return Section("sessions", f"{VERIFY} by live sessions", results, verdicts, notes)


def _loads(contender: Contender, ids: Sequence[str]) -> Iterator[Load]:
    (cookie, *_) = accounts.register(contender)
    name = cookie.partition("=")[0]
    titles = {f"{len(ids)} sessions": random.sample(ids, min(VISITED, len(ids)))}
    if len(ids) == max(SIZES):
        titles[f"{len(ids)} sessions, each of them visited"] = list(ids)
    for title, visited in titles.items():
        cookies = (f"{name}={each}" for each in visited)
        file = accounts.write_lines(contender.engines, cookies)
        yield get_with_cookies(title, contender, VERIFY, file)


def fill(redis: Redis, size: int, keys: int = 0) -> tuple[list[str], float]:
    """Let the service's own code store sessions, each of another account; returns their ids, and
    the bytes for each."""
    before = redis.info("memory")["used_memory"]
    scripts, chosen = PipelinedScripts(redis), settings()
    limits = Limits(chosen.session_idle, chosen.session_lifetime)
    store = SessionStore(scripts, SessionRules(limits, limits), chosen.sessions_per_account)
    fields = {f"key{n}": msgspec.msgpack.encode(VALUE) for n in range(keys)}
    ids = []
    for n in range(size):
        new = NewSession(
            owner=Owner(n, f"visitor{n}", time.time()),
            locator=new_locator(),
            epoch=0,
            methods=("password",),
            client=Client("127.0.0.1", AGENT),
        )
        ids.append(store.create(new, fields).id.value)
        if n % BATCH == BATCH - 1:
            scripts.pipeline.execute()
    scripts.pipeline.execute()
    return ids, (redis.info("memory")["used_memory"] - before) / size


def _memory(memory: float, what: str) -> str:
    return f"Memory of {what}: {memory:.0f} bytes of Redis."
