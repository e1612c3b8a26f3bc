"""The service under pressure: more new names than it can hash for, a Postgres that hangs, thousands
of silent connections."""

from __future__ import annotations

import itertools
import math
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from kits.bench import accounts
from kits.bench.contender import COATCHECK, Contender, Engines
from kits.bench.measurement import Load, Result, Sample, get_with_cookies, in_turn, warm_up
from kits.bench.section import Section, at_least
from kits.bench.session_checks import VERIFY
from kits.command import Effort, Say
from kits.generators import Run, closed_loop, scheduled
from kits.report import number, responses
from kits.scheduled import Schedule
from kits.verdict import Verdict
from tests.conditions import eventually
from tests.faults import frozen

NEWCOMERS = Path(__file__).with_name("newcomers.lua")
FEW, USUAL, MANY = 4, 32, (32, 128, 512)  # connections
OF_FEW = 0.8  # times
LONGEST = 1000.0  # ms
IDLE = 5000  # connections
WITHIN, WHILE_HUNG = 0.9, 0.8  # times
HANGING = 500  # logins

_serial = itertools.count()


def newcomers(engines: Engines, effort: Effort, say: Say) -> Section:
    """Register new names on few and on many connections, each of which retries at once."""
    with engines.serve(COATCHECK) as contender:
        loads = {n: _newcomers(contender, n) for n in (FEW, *MANY)}
        for load in loads.values():
            warm_up(load)
        runs: dict[int, list[Run]] = {n: [] for n in loads}
        for round_ in range(effort.rounds):
            say(f"New names on {', '.join(map(str, loads))} connections: round {round_ + 1}")
            for connections, load in loads.items():
                contender.settle()
                runs[connections].append(load.drive(effort.seconds))
    results = {
        n: Result(loads[n].title, [_sample(run) for run in each]) for n, each in runs.items()
    }
    verdicts = [at_least(results[n], OF_FEW, results[FEW]) for n in MANY]
    verdicts.append(_nobody_is_rejected(runs[USUAL], results[USUAL]))
    notes = [f"{loads[n].title}: {responses(_statuses(each))}." for n, each in runs.items()]
    return Section("newcomers", "New names, closed loop", list(results.values()), verdicts, notes)


def idle(engines: Engines, effort: Effort, say: Say) -> Section:
    """Check sessions while thousands of connections are open that send nothing."""
    with engines.serve(COATCHECK) as contender:
        file = accounts.write_lines(engines, accounts.register(contender))
        alone = get_with_cookies("checks alone", contender, VERIFY, file)

        def among_idle(seconds: float) -> Run:
            with _idle_connections(contender, IDLE):
                contender.settle()  # accepting them takes a while
                return alone.drive(seconds)

        title = f"checks among {IDLE} idle connections"
        results = in_turn([alone, Load(title, contender, among_idle)], effort, say)
    verdict = at_least(results[1], WITHIN, results[0])
    return Section("idle", "Idle connections", results, [verdict])


def hung(engines: Engines, effort: Effort, say: Say) -> Section:
    """Check sessions while Postgres is stopped and logins hang on it."""
    answers: list[Run] = []
    with engines.serve(COATCHECK) as contender:
        file = accounts.write_lines(engines, accounts.register(contender))
        alone = get_with_cookies("checks alone", contender, VERIFY, file)

        def while_hung(seconds: float) -> Run:
            logins = Schedule(
                contender.url,
                [
                    (0.0, name)
                    for name in itertools.islice(itertools.cycle(accounts.NAMES), HANGING)
                ],
                path="/api/v1/sessions",
            )
            with _stopped(engines), ThreadPoolExecutor(1) as pool:
                hanging = pool.submit(scheduled, logins)
                run = alone.drive(seconds)
            answers.append(hanging.result())
            return run

        title = f"checks while Postgres is stopped and {HANGING} logins hang"
        results = in_turn([alone, Load(title, contender, while_hung)], effort, say)
    statuses = _statuses(answers)
    slowest = max(each.latency for run in answers for each in run.responses)
    verdicts = [
        at_least(results[1], WHILE_HUNG, results[0]),
        Verdict(
            "logins that hang",
            "201 or 503, nothing else",
            f"{responses(statuses)}; the slowest after {number(slowest)} ms",
            set(statuses) <= {201, 503},
        ),
    ]
    return Section("hung", "Postgres hangs", results, verdicts)


def _newcomers(contender: Contender, connections: int) -> Load:
    def drive(seconds: float) -> Run:
        url = f"{contender.url}/api/v1/accounts"
        prefix = f"n{next(_serial)}x"
        return closed_loop(url, NEWCOMERS, prefix, seconds=seconds, connections=connections)

    return Load(f"new names, {connections} connections", contender, drive, 201, may_shed=True)


def _statuses(runs: Sequence[Run]) -> Counter[int]:
    return sum((run.statuses for run in runs), Counter())


def _sample(run: Run) -> Sample:
    unknown = (math.nan,) * 4
    return Sample(run.registered, run.p50, run.p99, *unknown, run.share * 100, math.nan)


def _nobody_is_rejected(runs: list[Run], result: Result) -> Verdict:
    rejected = sum(run.requests - run.statuses[201] for run in runs)
    return Verdict(
        result.title,
        f"nobody is rejected; p99 ≤ {LONGEST:.0f} ms",
        f"{rejected} rejected; p99 {number(result.median.p99)} ms",
        rejected == 0 and result.median.p99 <= LONGEST,
    )


@contextmanager
def _idle_connections(contender: Contender, count: int) -> Iterator[None]:
    """Open connections that send half a head and then nothing."""
    host, port = contender.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((host, int(port)), 5))
            connection.sendall(b"GET / HTTP/1.1\r\n")
        yield


@contextmanager
def _stopped(engines: Engines) -> Iterator[None]:
    """Stop every process of Postgres; the kernel still accepts what clients send."""
    master = psutil.Process(engines.postgres.pid)
    processes = [master, *master.children(recursive=True)]
    with frozen(*processes):
        yield
    eventually(lambda: master.status() != psutil.STATUS_STOPPED)
