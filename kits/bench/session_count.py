"""What a session check costs with few and with many live sessions, and the memory of each."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import msgspec
from redis import Redis

from kits import hasher
from kits.bench import accounts
from kits.bench.growth import KEYS, VALUE
from kits.bench.section import Section, as_fast
from kits.bench.session_checks import VERIFY
from kits.bench.testbed import COATCHECK, Contender, Stage
from kits.bench.workloads import Visit, cookies, in_turn
from kits.command import Effort, Say
from service.sessions.ids import new_locator
from service.sessions.record import Limits, Metadata, Owner
from service.sessions.store import SessionStore

SIZES = (1_000, 100_000, 1_000_000)
VISITED = 1_000  # of each, so that how often a touch is due does not depend on the size
BATCH = 1_000
WEIGHED = 10_000  # sessions, to weigh one with keys
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
LEAST = 0.9  # of the rate with the fewest


class Pipelined:
    """A client whose scripts are only noted down, for the store to fill Redis without a wait for
    each session."""

    def __init__(self, redis: Redis) -> None:
        self.pipeline = redis.pipeline(transaction=False)

    def register_script(self, text: str) -> Callable[..., int]:
        script = self.pipeline.register_script(text)

        def note(keys: Sequence[Any], args: Sequence[Any]) -> int:
            script(keys=keys, args=args)
            return 1  # a time, which nobody looks at

        return note


def sizes(stage: Stage, effort: Effort, say: Say) -> Section:
    """Each number of sessions in a Redis of its own, side by side."""
    words = []
    with ExitStack() as stack:
        visits = []
        for size in SIZES:
            place = stack.enter_context(stage.with_another_redis())
            say(f"Filling a Redis with {size} sessions")
            ids, memory = fill(place.redis, size)
            words.append(_weight(memory, f"one of {size} sessions"))
            visits += _visits(stack.enter_context(place.serve(COATCHECK)), ids)
        results = in_turn(visits, effort, say)
    for keys in KEYS:
        with stage.with_another_redis() as place:
            _, memory = fill(place.redis, WEIGHED, keys)
        words.append(_weight(memory, f"a session of {keys} keys"))
    verdicts = [as_fast(results[-2], LEAST, results[0])]
    return Section("sessions", f"{VERIFY} by live sessions", results, verdicts, words)


def _visits(contender: Contender, ids: Sequence[str]) -> Iterator[Visit]:
    (cookie, *_) = accounts.sign_up(contender)
    name = cookie.partition("=")[0]
    titles = {f"{len(ids)} sessions": random.sample(ids, min(VISITED, len(ids)))}
    if len(ids) == max(SIZES):
        titles[f"{len(ids)} sessions, each of them visited"] = list(ids)
    for title, visited in titles.items():
        file = accounts.lines(contender.stage, (f"{name}={each}" for each in visited))
        yield cookies(title, contender, VERIFY, file)


def fill(redis: Redis, size: int, keys: int = 0) -> tuple[list[str], float]:
    """Let the service's own code store so many sessions, each of another account; their ids, and
    bytes for each."""
    before = redis.info("memory")["used_memory"]
    pipelined, chosen = Pipelined(redis), hasher.settings()
    limits = Limits(chosen.session_idle, chosen.session_lifetime)
    store = SessionStore(pipelined, limits, limits, chosen.sessions_per_account)
    fields = {f"key{n}": msgspec.msgpack.encode(VALUE) for n in range(keys)}
    ids = []
    for n in range(size):
        metadata = Metadata(Owner(n, f"visitor{n}", time.time()), False, "127.0.0.1", AGENT)
        ids.append(store.create(metadata, fields, new_locator(), epoch=0).id.value)
        if n % BATCH == BATCH - 1:
            pipelined.pipeline.execute()
    pipelined.pipeline.execute()
    return ids, (redis.info("memory")["used_memory"] - before) / size


def _weight(memory: float, what: str) -> str:
    return f"Memory of {what}: {memory:.0f} bytes of Redis."
