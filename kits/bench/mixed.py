"""Session checks while others register and log in: does hashing starve them?

The checks have a wrk of their own, on connections that carry nothing else, so its p99 is theirs
alone, and all of them keep asking while a login takes its time. In one closed loop of all kinds,
most connections would soon wait for a hash, and the few remaining checks would look prompt.
Duplicates get their share of the connections. Logins arrive at a fixed rate, which a trial run
determines, regardless of how many are still waiting.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kits.bench import accounts
from kits.bench.contender import COATCHECK, Engines
from kits.bench.measurement import (
    Load,
    Result,
    Sample,
    get_with_cookies,
    post_bodies,
    require_statuses,
    warm_up,
)
from kits.bench.registration import DUPLICATE, logins
from kits.bench.section import Section, as_prompt
from kits.bench.session_checks import CURRENT
from kits.command import Effort, Say
from kits.generators import CONNECTIONS, Run, percentile, scheduled
from kits.report import number, responses
from tests.passwords import PASSWORD

DUPLICATES = 2  # connections of 32; duplicates are faster than checks, so few connections suffice
LOGINS = 0.01  # of all requests
SLOWER = 3  # times
WITHOUT, WITH = "checks without logins", "checks with logins"


@dataclass(frozen=True)
class Mix:
    """Runs that took place at the same time."""

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
    """Runs checks, duplicates and logins together."""

    checks: Load
    duplicates: Load

    def run(self, seconds: float, rate: float) -> Mix:
        """Send checks and duplicates as fast as possible, and logins at `rate` a second.

        Raises:
            LoadError: a response had an unexpected status. A login may get 503: the service sheds
                what it cannot hash in time.
        """
        with ThreadPoolExecutor(3) as pool:
            runs = [pool.submit(load.drive, seconds) for load in (self.checks, self.duplicates)]
            if rate:
                runs.append(pool.submit(scheduled, logins(self.checks.contender, seconds, rate)))
        checks, duplicates, *arrived = (run.result() for run in runs)
        require_statuses(self.checks.title, checks, {self.checks.status})
        require_statuses(self.duplicates.title, duplicates, {self.duplicates.status})
        for run in arrived:
            require_statuses("logins", run, {201, 503})
        return Mix(checks, duplicates, arrived)

    def login_rate(self, seconds: float) -> float:
        """The number of logins a second that makes 1 % of all requests. Each login slows the other
        requests down; a run with half as many shows by how much."""
        alone = self.run(seconds, 0).rate
        some = LOGINS / 2 * alone
        lost = (alone - self.run(seconds, some).rate) / some
        return LOGINS * alone / (1 + LOGINS * max(0.0, lost))


def mixed(engines: Engines, effort: Effort, say: Say) -> Section:
    """Measure the checks without and with logins, in turn."""
    with engines.serve(COATCHECK) as contender:
        file = accounts.write_lines(engines, accounts.register(contender))
        checks = get_with_cookies(CURRENT, contender, CURRENT, file, CONNECTIONS - DUPLICATES)
        body = {"username": accounts.NAMES[0], "password": PASSWORD}
        file = accounts.write_lines(engines, [json.dumps(body)])
        duplicates = post_bodies(DUPLICATE, contender, "/api/v1/accounts", file, 409, DUPLICATES)
        warm_up(checks)
        contender.settle()
        mixer = Mixer(checks, duplicates)
        rate = mixer.login_rate(effort.seconds)
        mixes: dict[str, list[Mix]] = {WITHOUT: [], WITH: []}
        for round_ in range(effort.rounds):
            say(f"Mixed load without and with {rate:.0f} logins/s: round {round_ + 1}")
            for title, logins_per_second in ((WITHOUT, 0.0), (WITH, rate)):
                contender.settle()
                mixes[title].append(mixer.run(effort.seconds, logins_per_second))
    without, with_ = (Result(title, [*map(_sample, each)]) for title, each in mixes.items())
    return Section(
        "mixed",
        f"Mixed load: {CURRENT}, hot duplicates, logins",
        [without, with_],
        [as_prompt(with_, SLOWER, without)],
        [_note(mix) for mix in mixes[WITH]],
    )


def _sample(mix: Mix) -> Sample:
    """The sample of the checks; the CPU time of a mix cannot be divided among its parts."""
    run, unknown = mix.checks, (math.nan,) * 4
    return Sample(run.requests / run.seconds, run.p50, run.p99, *unknown, run.share * 100, math.nan)


def _note(mix: Mix) -> str:
    (run,) = mix.logins
    latencies = run.latencies(201)
    p50, p99 = (number(percentile(latencies, percent)) for percent in (50, 99))
    return (
        f"Checks, duplicates and logins were {mix.shares} of the requests;"
        f" logins: {responses(run.statuses)}, p50 {p50} ms, p99 {p99} ms."
    )
