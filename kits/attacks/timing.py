"""Whether the time of a refused login tells which names exist.

An attacker who knows no password logs in with names of five kinds, in turn and in random order, and
compares the times.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence

import argon2
import httpx
import psycopg

from kits.attacks.deployment import Deployment
from kits.attacks.ranks import probability_of_chance
from kits.command import Say
from kits.report import number
from kits.verdict import Verdict
from tests.passwords import ANOTHER_PASSWORD, PASSWORD

UNKNOWN = "unknown"
KINDS = (UNKNOWN, "wrong", "disabled", "deleted", "older")
OLDER = argon2.PasswordHasher(memory_cost=8192, time_cost=1, parallelism=1)
ROUNDS, WARM_UP = 200, 20  # the latter do not count
LARGEST_DIFFERENCE = 0.03  # of the median
LEAST_PROBABILITY = 0.01

Times = Mapping[str, Sequence[float]]  # seconds, by kind


def timing(deployment: Deployment, say: Say) -> Iterator[Verdict]:
    """Measure, and judge each kind beside unknown names."""
    say(f"{ROUNDS} wrong passwords for each of: {', '.join(KINDS)}")
    _add_accounts(deployment)
    with deployment.server.client() as client:
        _measure(client, WARM_UP)
        times = _measure(client, ROUNDS)
    for kind in KINDS:
        say(f"{kind}: {number(1000 * statistics.median(times[kind]))} ms")
    yield from verdicts(times)


def verdicts(times: Times) -> Iterator[Verdict]:
    """A verdict for each kind of name."""
    unknown = times[UNKNOWN]
    target = f"median within {LARGEST_DIFFERENCE:.0%}, p > {LEAST_PROBABILITY}"
    for kind in KINDS[1:]:
        difference = statistics.median(times[kind]) / statistics.median(unknown) - 1
        chance = probability_of_chance(times[kind], unknown)
        yield Verdict(
            f"{kind} beside {UNKNOWN}",
            target,
            f"{difference:+.1%}, p = {chance:.3f}",
            abs(difference) <= LARGEST_DIFFERENCE and chance > LEAST_PROBABILITY,
        )


def _add_accounts(deployment: Deployment) -> None:
    """An account for each kind of name that has, or had, one."""
    for kind in KINDS[1:]:
        with deployment.server.client() as client:
            body = {"username": kind, "password": PASSWORD}
            client.post("/api/v1/accounts", json=body).raise_for_status()
            if kind == "deleted":
                body = {"password": PASSWORD}
                client.request("DELETE", "/api/v1/account", json=body).raise_for_status()
    with psycopg.connect(deployment.postgres.url) as connection:
        older = OLDER.hash(PASSWORD)
        connection.execute(
            "UPDATE accounts SET password_hash = %s WHERE username = 'older'", (older,)
        )
        connection.execute("UPDATE accounts SET disabled_at = now() WHERE username = 'disabled'")


def _measure(client: httpx.Client, rounds: int) -> Times:
    times: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind in random.sample(KINDS, len(KINDS)):
            body = {"username": kind, "password": ANOTHER_PASSWORD}
            started = time.perf_counter()
            answer = client.post("/api/v1/sessions", json=body)
            times[kind].append(time.perf_counter() - started)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                raise RuntimeError(f"A login with the wrong password got {answer.status_code}.")
    return times
