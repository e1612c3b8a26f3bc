"""What is not a session check: duplicates of a taken name; new accounts and logins, which hash."""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Callable
from functools import partial

import psycopg

from kits import hasher
from kits.bench import accounts
from kits.bench.section import Section, as_fast
from kits.bench.session_checks import BARE
from kits.bench.testbed import COATCHECK, Contender, Stage
from kits.bench.workloads import Visit, bodies, in_turn
from kits.command import Effort, Say, Verdict
from kits.generators import CONNECTIONS, Run, crowd
from kits.load import costs as meters
from kits.load.testbed import WORKERS, port
from kits.scheduled import PASSWORD, Plan

DATABASE = "coatcheck"
DUPLICATE = "hot duplicate"
OF_BARE, TRANSACTIONS = 0.6, 5
OF_HASHER = 0.9
MOST = 1000  # hashes a second that no machine reaches

_serial = itertools.count()


def duplicates(stage: Stage, effort: Effort, say: Say) -> Section:
    """One name that was registered a moment ago, over and over."""
    body = {"username": "hot", "password": PASSWORD}
    file = accounts.lines(stage, [json.dumps(body)])
    with stage.serve("applications:bare_flask") as bare, stage.serve(COATCHECK) as contender:
        crowd(Plan(port(contender.server), [(0.0, "hot")]))
        visits = [
            bodies(BARE, bare, "/accounts", file, 409),
            bodies(DUPLICATE, contender, "/api/v1/accounts", file, 409),
        ]
        meters.settle()
        hashes, statements = meters.published_hashes(contender.url), _statements(stage)
        limit, ours = in_turn(visits, effort, say)
        meters.settle()
        hashes = meters.published_hashes(contender.url) - hashes
        statements = _statements(stage) - statements
    measured = f"{hashes} hashes and {statements} statements, in all rounds together"
    fine = hashes == 0 and statements <= TRANSACTIONS
    target = f"0 hashes and ≤ {TRANSACTIONS} Postgres transactions"
    verdicts = [as_fast(ours, OF_BARE, limit), Verdict(DUPLICATE, target, measured, fine)]
    return Section("duplicates", "Hot duplicates", [limit, ours], verdicts)


def hashing(stage: Stage, effort: Effort, say: Say) -> Section:
    """New accounts and logins, by so many visitors at a time, and argon2id alone, as the service
    computes it and as most others do."""
    with stage.serve(COATCHECK) as contender:
        accounts.sign_up(contender)
        loads: dict[str, Callable[[float], Run]] = {
            **{f"{library} alone": partial(_alone, library) for library in hasher.LIBRARIES},
            "new registrations": lambda seconds: crowd(registrations(contender, seconds)),
            "logins": lambda seconds: crowd(logins(contender, seconds)),
        }
        visits = [
            Visit(title, contender, load, 201, refusable=True) for title, load in loads.items()
        ]
        results = in_turn(visits, effort, say)
    alone, ours = results[: len(hasher.LIBRARIES)], results[len(hasher.LIBRARIES) :]
    verdicts = [as_fast(result, OF_HASHER, each) for each in alone for result in ours]
    return Section("hashing", "Registrations and logins", results, verdicts)


def registrations(contender: Contender, seconds: float) -> Plan:
    """Names that are all new."""
    prefix = f"new{next(_serial)}"
    requests = [(0.0, f"{prefix}x{n}") for n in range(round(MOST * seconds))]
    return Plan(port(contender.server), requests, limit=CONNECTIONS, until=seconds)


def logins(contender: Contender, seconds: float, rate: float = math.inf) -> Plan:
    """Of everybody in turn; `rate` of them a second, or as many as there are connections for."""
    requests = [
        (n / rate, accounts.NAMES[n % accounts.PEOPLE])
        for n in range(round(min(MOST, rate) * seconds))
    ]
    limit = CONNECTIONS if rate == math.inf else len(requests)
    return Plan(
        port(contender.server), requests, limit=limit, until=seconds, path="/api/v1/sessions"
    )


def _alone(library: str, seconds: float) -> Run:
    rate = hasher.alone(WORKERS, seconds, library)
    count = round(rate * seconds)
    return Run(seconds, count, Counter({201: count}), math.nan, math.nan, 1.0)


def _statements(stage: Stage) -> int:
    """By the service, so that autovacuum does not count: no fewer than its transactions."""
    with psycopg.connect(stage.postgres.superuser_url, autocommit=True) as connection:
        done = connection.execute(meters.STATEMENTS, (DATABASE,)).fetchone()
        _, failed = connection.execute(meters.TRANSACTIONS, (DATABASE,)).fetchone() or (0, 0)
    return int(done[0] if done else 0) + failed
