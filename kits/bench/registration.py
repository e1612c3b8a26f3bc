"""Requests other than session checks: duplicates of a taken name, new accounts, logins."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable
from functools import partial

from kits.bench import accounts
from kits.bench.contender import COATCHECK, Contender, Engines
from kits.bench.measurement import Load, in_turn, post_bodies
from kits.bench.section import Section, at_least
from kits.bench.session_checks import BARE
from kits.command import Effort, Say
from kits.counters import published_hashes, settle, statements
from kits.engines import WORKERS
from kits.generators import CONNECTIONS, Run, scheduled
from kits.hasher import LIBRARIES, hashes_per_second
from kits.scheduled import Schedule
from kits.verdict import Verdict
from tests.passwords import PASSWORD

DATABASE = "coatcheck"
DUPLICATE = "hot duplicate"
OF_BARE, TRANSACTIONS = 0.6, 5
OF_HASHER = {"new registrations": 0.68, "logins": 0.75}  # times what we hash with, alone
MOST = 1000  # hashes a second, more than any machine computes

_serial = itertools.count()


def duplicates(engines: Engines, effort: Effort, say: Say) -> Section:
    """Request one name over and over that was registered a moment ago."""
    body = {"username": "hot", "password": PASSWORD}
    file = accounts.write_lines(engines, [json.dumps(body)])
    with (
        engines.serve("applications:bare_flask") as bare,
        engines.serve(COATCHECK) as contender,
    ):
        scheduled(Schedule(contender.url, [(0.0, "hot")]))
        loads = [
            post_bodies(BARE, bare, "/accounts", file, 409),
            post_bodies(DUPLICATE, contender, "/api/v1/accounts", file, 409),
        ]
        settle()
        hashes, sent = published_hashes(contender.url), _statements(engines)
        limit, ours = in_turn(loads, effort, say)
        settle()
        hashes = published_hashes(contender.url) - hashes
        sent = _statements(engines) - sent
    measured = f"{hashes} hashes and {sent} statements, in all rounds together"
    fine = hashes == 0 and sent <= TRANSACTIONS
    target = f"0 hashes and ≤ {TRANSACTIONS} Postgres transactions"
    verdicts = [at_least(ours, OF_BARE, limit), Verdict(DUPLICATE, target, measured, fine)]
    return Section("duplicates", "Hot duplicates", [limit, ours], verdicts)


def hashing(engines: Engines, effort: Effort, say: Say) -> Section:
    """Register and log in on a fixed number of connections; for comparison, compute argon2id
    alone, as the service does and as most others do."""
    with engines.serve(COATCHECK) as contender:
        accounts.register(contender)
        drives: dict[str, Callable[[float], Run]] = {
            **{f"{library} alone": partial(_hash_alone, library) for library in LIBRARIES},
            "new registrations": lambda seconds: scheduled(registrations(contender, seconds)),
            "logins": lambda seconds: scheduled(logins(contender, seconds)),
        }
        loads = [
            Load(title, contender, drive, 201, may_shed=True) for title, drive in drives.items()
        ]
        results = in_turn(loads, effort, say)
    alone, ours = results[: len(LIBRARIES)], results[len(LIBRARIES) :]
    verdicts = [at_least(result, OF_HASHER[result.title], alone[0]) for result in ours]
    return Section("hashing", "Registrations and logins", results, verdicts)


def registrations(contender: Contender, seconds: float) -> Schedule:
    """Registrations of new names."""
    prefix = f"new{next(_serial)}"
    requests = [(0.0, f"{prefix}x{n}") for n in range(round(MOST * seconds))]
    return Schedule(contender.url, requests, limit=CONNECTIONS, until=seconds)


def logins(contender: Contender, seconds: float, rate: float = math.inf) -> Schedule:
    """Logins of every account in turn: `rate` a second, or as many as the connections allow."""
    requests = [
        (n / rate, accounts.NAMES[n % accounts.ACCOUNTS])
        for n in range(round(min(MOST, rate) * seconds))
    ]
    limit = CONNECTIONS if rate == math.inf else len(requests)
    return Schedule(contender.url, requests, limit=limit, until=seconds, path="/api/v1/sessions")


def _hash_alone(library: str, seconds: float) -> Run:
    rate = hashes_per_second(WORKERS, seconds, library)
    count = round(rate * seconds)
    return Run(seconds, count, Counter({201: count}), math.nan, math.nan, 1.0)


def _statements(engines: Engines) -> int:
    """The statements of the service, which are at least as many as its transactions. Autovacuum
    does not count."""
    return statements(engines.postgres.superuser_url, DATABASE).total
