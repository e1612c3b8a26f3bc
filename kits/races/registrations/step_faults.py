"""Faults at exactly one step of a registration. Each is healed when its function returns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg

from kits.races.engine_faults import Inject, crash
from kits.races.load import HERD
from kits.races.proxies.proxy import Rule
from kits.races.race import Missed, Race
from tests.conditions import eventually

PATIENCE = 2.0  # seconds that a step may take to be reached
RIVALS_PAUSE = 0.3  # that rivals have to do what they should not
STRANDED = """
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted LIMIT 1
"""


def at_step(rule: Rule, times: int = 1) -> Inject:
    """A rule that strikes once, or so many times, when an attempt of a herd comes to its step."""

    def inject(race: Race) -> None:
        name = race.load.new_name()
        with race.ruled(replace(rule, name=name, times=times)):
            race.load.herd(name, HERD)

    return inject


def killed(engine: str, moment: str, step: str, reply: bytes = b"") -> Inject:
    """The worker is killed at a step."""
    return at_step(Rule(engine, moment, "kill", step, reply=reply))


def before_commit(action: str | None, rolled_back: bool) -> Inject:
    """With an INSERT done and its COMMIT not, the worker is killed or its connection cut; the
    server rolls back, or commits all the same once it can."""

    def inject(race: Race) -> None:
        with _commit_held(race) as held:
            if action:
                race.site.proxies.ask(action, held.rule)
            if rolled_back:
                held.terminate()
            time.sleep(RIVALS_PAUSE)

    return inject


def crash_before_commit(race: Race) -> None:
    """Postgres crashes with an INSERT done and its COMMIT not."""
    with _commit_held(race):
        time.sleep(RIVALS_PAUSE)
        crash(race)


def claim_lost(race: Race) -> None:
    """FLUSHALL takes the claim from its holder, another attempt gets it, and then the first fails
    and gives up what it thinks is its own. A third one must not get in by that: counted, so
    nothing else may go on."""
    name = race.load.new_name()
    hold = race.site.proxies.arm(Rule("postgres", "request", "hold", "select", name))
    with race.counting(name, 3 * HERD) as seconds:
        herd = race.load.start_herd(name, 3 * HERD, keyed=False)
        try:
            _await_hits(race, hold, 1)
            race.flush_redis()
            _await_hits(race, hold, 2)
            race.site.proxies.ask("cut_first", hold)
            with suppress(Missed):
                _await_hits(race, hold, 3, RIVALS_PAUSE)
        finally:
            race.site.proxies.ask("disarm", hold)
            seconds.append(herd.result())


class HeldCommit:
    """Holds up the COMMIT of a name by its advisory lock: see site.COMMIT_LOCK."""

    def __init__(self, url: str, name: str, rule: int) -> None:
        """
        Args:
            url: of the database.
            name: the canonical name.
            rule: number of one that notes the INSERTs of the name.
        """
        self.rule = rule
        self._backend = 0
        self._connection = psycopg.connect(url, autocommit=True, connect_timeout=5)
        self._connection.execute("SELECT pg_advisory_lock(hashtext(%s))", (name,))

    def await_backend(self) -> None:
        """Wait for an INSERT that is done but for its COMMIT.

        Raises:
            Missed: none came.
        """

        def find() -> tuple[int] | tuple[()]:
            return self._connection.execute(STRANDED).fetchone() or ()

        try:
            (self._backend,) = eventually(find, PATIENCE)
        except AssertionError:
            raise Missed("nobody came to COMMIT") from None

    def terminate(self) -> None:
        """Have the server roll it back."""
        self._connection.execute("SELECT pg_terminate_backend(%s)", (self._backend,))

    def release(self) -> None:
        """Let COMMIT go on."""
        self._connection.close()


@contextmanager
def _commit_held(race: Race) -> Iterator[HeldCommit]:
    """Start a herd and hold up its COMMIT; it goes on afterwards."""
    name = race.load.new_name()
    rule = race.site.proxies.arm(Rule("postgres", "sent", "note", "insert", name))
    held = HeldCommit(race.site.postgres.url, name, rule)
    herd = race.load.start_herd(name, HERD)
    try:
        held.await_backend()
        yield held
    finally:
        held.release()
        herd.result()
        race.site.proxies.ask("disarm", rule)


def _await_hits(race: Race, rule: int, hits: int, within: float = PATIENCE) -> None:
    try:
        eventually(lambda: race.site.proxies.ask("hits", rule) >= hits, within)
    except AssertionError:
        raise Missed(f"not reached {hits} times") from None
