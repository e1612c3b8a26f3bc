"""Checks while others register and log in: whether hashing starves the loop that answers them.

The checks have a wrk of their own, on connections that carry nothing else: its p99 is theirs alone,
and all of them go on asking while a login takes its time. In one closed loop of all kinds, most
connections would soon wait for a hash, and the few checks left would look prompt. Duplicates get
their part of the connections. Logins arrive at a rate that was tried out, whatever becomes of those
before them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kits.bench import accounts
from kits.bench.registration import DUPLICATE, logins
from kits.bench.section import Section, as_prompt
from kits.bench.session_checks import CURRENT
from kits.bench.testbed import COATCHECK, Stage
from kits.bench.workloads import Result, Sample, Visit, answered, bodies, cookies, warm_up
from kits.command import Effort, Say
from kits.generators import CONNECTIONS, Run, crowd, percentile
from kits.load.comparison_report import answers, number
from kits.scheduled import PASSWORD

DUPLICATES = 2  # connections, of 32: they answer faster than checks, so that it is about 9 %
LOGINS = 0.01  # of all requests
SLOWER = 3  # times
WITHOUT, WITH = "checks without logins", "checks with logins"


@dataclass(frozen=True)
class Mix:
    """What ran at the same time."""

    checks: Run
    duplicates: Run
    logins: Sequence[Run]  # one or none

    @property
    def rate(self) -> float:
        return sum(run.requests / run.seconds for run in self._runs())

    @property
    def shares(self) -> str:
        total = sum(run.requests for run in self._runs())
        return " : ".join(f"{run.requests / total:.1%}" for run in self._runs())

    def _runs(self) -> list[Run]:
        return [self.checks, self.duplicates, *self.logins]


@dataclass(frozen=True)
class Mixer:
    """What a mix is made of, but for the logins."""

    checks: Visit
    duplicates: Visit

    def run(self, seconds: float, rate: float) -> Mix:
        """Checks and duplicates as fast as they go, and so many logins a second.

        Raises:
            LoadError: there was an answer of another status than expected. A login may be refused:
                the service sheds what it cannot hash in time.
        """
        with ThreadPoolExecutor(3) as pool:
            runs = [pool.submit(visit.load, seconds) for visit in (self.checks, self.duplicates)]
            if rate:
                runs.append(pool.submit(crowd, logins(self.checks.contender, seconds, rate)))
        checks, duplicates, *arrived = (run.result() for run in runs)
        answered(self.checks.title, checks, {self.checks.status})
        answered(self.duplicates.title, duplicates, {self.duplicates.status})
        for run in arrived:
            answered("logins", run, {201, 503})
        return Mix(checks, duplicates, arrived)

    def rate(self, seconds: float) -> float:
        """How many logins a second are 1 % of the requests: each takes time from the others, as
        much as a run with half as many shows."""
        alone = self.run(seconds, 0).rate
        some = LOGINS / 2 * alone
        lost = (alone - self.run(seconds, some).rate) / some
        return LOGINS * alone / (1 + LOGINS * max(0.0, lost))


def mixed(stage: Stage, effort: Effort, say: Say) -> Section:
    """The same with and without logins, in turn."""
    with stage.serve(COATCHECK) as contender:
        file = accounts.lines(stage, accounts.sign_up(contender))
        checks = cookies(CURRENT, contender, CURRENT, file, CONNECTIONS - DUPLICATES)
        body = {"username": accounts.NAMES[0], "password": PASSWORD}
        file = accounts.lines(stage, [json.dumps(body)])
        duplicates = bodies(DUPLICATE, contender, "/api/v1/accounts", file, 409, DUPLICATES)
        warm_up(checks)
        contender.settle()
        mixer = Mixer(checks, duplicates)
        rate = mixer.rate(effort.seconds)
        mixes: dict[str, list[Mix]] = {WITHOUT: [], WITH: []}
        for number_ in range(effort.rounds):
            say(f"Mixed load without and with {rate:.0f} logins/s: round {number_ + 1}")
            for title, logins_ in ((WITHOUT, 0.0), (WITH, rate)):
                contender.settle()
                mixes[title].append(mixer.run(effort.seconds, logins_))
    without, with_ = (Result(title, [*map(_sample, each)]) for title, each in mixes.items())
    return Section(
        "mixed",
        f"Mixed load: {CURRENT}, hot duplicates, logins",
        [without, with_],
        [as_prompt(with_, SLOWER, without)],
        [_words(mix) for mix in mixes[WITH]],
    )


def _sample(mix: Mix) -> Sample:
    """Of the checks; who of them all spent what on the machine cannot be told apart."""
    run, unknown = mix.checks, (math.nan,) * 4
    return Sample(run.requests / run.seconds, run.p50, run.p99, *unknown, run.share * 100, math.nan)


def _words(mix: Mix) -> str:
    (run,) = mix.logins
    latencies = run.latencies(201)
    p50, p99 = (number(percentile(latencies, percent)) for percent in (50, 99))
    return (
        f"Checks, duplicates and logins were {mix.shares} of the requests;"
        f" logins: {answers(run.statuses)}, p50 {p50} ms, p99 {p99} ms."
    )
