"""What throttling costs: the same service with and without it, in turn."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kits.attacks.deployment import address
from kits.bench import accounts
from kits.bench.contender import COATCHECK, Contender, start_engines
from kits.bench.measurement import Load, Result, get_with_cookies, in_turn
from kits.bench.registration import MOST
from kits.bench.section import at_least
from kits.bench.session_checks import VERIFY
from kits.command import Effort, Say
from kits.generators import CONNECTIONS, Run, require_wrk, scheduled
from kits.report import number
from kits.scheduled import Schedule
from kits.verdict import Verdict

OFF = {"COATCHECK_THROTTLING": "off", "COATCHECK_TRUSTED_PROXIES": "1"}
ON = OFF | {"COATCHECK_THROTTLING": "on"}
OF_CHECKS, OF_REGISTRATIONS = 0.95, 0.9  # times the rate without throttling

_serial = itertools.count(1)


def speed(effort: Effort, say: Say) -> Iterator[Verdict]:
    """Compare session checks, and then registrations, each from a network of its own."""
    require_wrk()
    with (
        tempfile.TemporaryDirectory(prefix="attacks-") as directory,
        start_engines(Path(directory)) as engines,
        engines.serve(COATCHECK, more=OFF) as without,
        engines.serve(COATCHECK, more=ON) as throttled,
    ):
        cookies = accounts.write_lines(engines, accounts.register(without))
        checks = [
            get_with_cookies("session checks without throttling", without, VERIFY, cookies),
            get_with_cookies("session checks", throttled, VERIFY, cookies),
        ]
        limit, ours = in_turn(checks, effort, say)
        _say_cost(say, limit, ours)
        yield at_least(ours, OF_CHECKS, limit)
        registrations = [
            _registrations("registrations without throttling", without),
            _registrations("registrations", throttled),
        ]
        limit, ours = in_turn(registrations, effort, say)
        _say_cost(say, limit, ours)
        yield at_least(ours, OF_REGISTRATIONS, limit)


def _say_cost(say: Say, *results: Result) -> None:
    """Rates mean little on a busy machine; the CPU time of a request does not depend on others."""
    for result in results:
        cost, others = result.median.workers, result.median.others
        say(f"{result.title}: {number(cost)} µs of CPU each; others used {others:.0f} %")


def _registrations(title: str, contender: Contender) -> Load:
    def drive(seconds: float) -> Run:
        count, run = round(MOST * seconds), next(_serial)
        requests = [(0.0, f"throttled{run}x{n}") for n in range(count)]
        addresses = [address((run << 16) + n) for n in range(count)]
        schedule = Schedule(
            contender.url, requests, limit=CONNECTIONS, until=seconds, addresses=addresses
        )
        return scheduled(schedule)

    return Load(title, contender, drive, 201, may_shed=True)
