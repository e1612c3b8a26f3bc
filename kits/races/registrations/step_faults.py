"""Faults at one step of a registration. Each function heals its fault before it returns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import psycopg

from kits.races.engine_faults import Inject, crash
from kits.races.load import HERD
from kits.races.proxy.rule import Rule
from kits.races.race import Missed, Race
from tests.conditions import eventually

PATIENCE = 2.0  # seconds that a step may take to be reached
RIVALS_PAUSE = 0.3  # seconds for rivals to do what they must not
STRANDED = """
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted LIMIT 1
"""


def at_step(rule: Rule, times: int = 1) -> Inject:
    """Apply a rule once, or `times` times, when an attempt of a herd reaches its step."""

    def inject(race: Race) -> None:
        name = race.load.new_name()
        with race.rule_in_force(replace(rule, name=name, times=times)):
            race.load.herd(name, HERD)

    return inject


def killed(engine: str, moment: str, step: str, reply: bytes = b"") -> Inject:
    """Kill the worker at a step."""
    return at_step(Rule(engine, moment, "kill", step, reply=reply))


def before_commit(action: str | None, rolled_back: bool) -> Inject:
    """Kill the worker or cut its connection between its INSERT and its COMMIT; Postgres then rolls
    back, or commits regardless once it can."""

    def inject(race: Race) -> None:
        with _commit_held(race) as held:
            if action:
                race.deployment.proxy.call(action, held.rule)
            if rolled_back:
                held.terminate()
            time.sleep(RIVALS_PAUSE)

    return inject


def crash_before_commit(race: Race) -> None:
    """Postgres crashes between an INSERT and its COMMIT."""
    with _commit_held(race):
        time.sleep(RIVALS_PAUSE)
        crash(race)


def claim_lost(race: Race) -> None:
    """FLUSHALL takes the claim from its holder, and another attempt gets it. Then the first fails,
    and releases what it believes to be its own claim, which must not let a third attempt in. The
    herd is counted, so nothing else may run."""
    name = race.load.new_name()
    hold = race.deployment.proxy.add_rule(Rule("postgres", "request", "hold", "select", name))
    with race.counting(name, 3 * HERD) as seconds:
        herd = race.load.start_herd(name, 3 * HERD, keyed=False)
        try:
            _await_hits(race, hold, 1)
            race.flush_redis()
            _await_hits(race, hold, 2)
            race.deployment.proxy.call("cut_first", hold)
            with suppress(Missed):
                _await_hits(race, hold, 3, RIVALS_PAUSE)
        finally:
            race.deployment.proxy.call("remove_rule", hold)
            seconds.append(herd.result())


class HeldCommit:
    """Delays the COMMIT of a name with its advisory lock: see deployment.COMMIT_LOCK."""

    def __init__(self, url: str, name: str, rule: int) -> None:
        """
        Args:
            url: of the database.
            name: the canonical name.
            rule: the number of a rule that notes the INSERTs of the name.
        """
        self.rule = rule
        self._backend = 0
        self._connection = psycopg.connect(url, autocommit=True, connect_timeout=5)
        self._connection.execute("SELECT pg_advisory_lock(hashtext(%s))", (name,))

    def await_backend(self) -> None:
        """Wait for an INSERT that only its COMMIT separates from completion.

        Raises:
            Missed: none came.
        """

        def find() -> tuple[int] | tuple[()]:
            return self._connection.execute(STRANDED).fetchone() or ()

        try:
            (self._backend,) = eventually(find, PATIENCE)
        except AssertionError:
            raise Missed("no attempt reached its COMMIT") from None

    def terminate(self) -> None:
        """Make Postgres roll it back."""
        self._connection.execute("SELECT pg_terminate_backend(%s)", (self._backend,))

    def release(self) -> None:
        """Let the COMMIT continue."""
        self._connection.close()


@contextmanager
def _commit_held(race: Race) -> Iterator[HeldCommit]:
    """Start a herd, and delay its COMMIT until the end of the block."""
    name = race.load.new_name()
    rule = race.deployment.proxy.add_rule(Rule("postgres", "sent", "note", "insert", name))
    held = HeldCommit(race.deployment.postgres.url, name, rule)
    herd = race.load.start_herd(name, HERD)
    try:
        held.await_backend()
        yield held
    finally:
        held.release()
        herd.result()
        race.deployment.proxy.call("remove_rule", rule)


def _await_hits(race: Race, rule: int, hits: int, within: float = PATIENCE) -> None:
    try:
        eventually(lambda: race.deployment.proxy.call("hits", rule) >= hits, within)
    except AssertionError:
        raise Missed(f"not reached {hits} times") from None
