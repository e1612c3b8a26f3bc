"""Load, from one of two generators: wrk for floods, `crowd` for barriers and arrival rates."""

from __future__ import annotations

import json
import math
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from kits.scheduled import Answer, Plan

SCRIPT = Path(__file__).parent / "load/registrations.lua"
CONNECTIONS = 32
LONGEST_WAIT = 10.0  # seconds; what takes longer counts as lost
LONGEST_RUN = 300.0  # of a crowd whose end follows from its answers
GRACE = 60.0  # seconds past the planned end, then the generator is broken
LOST = 0  # the status of a request without an answer


class LoadError(Exception):
    """The load could not be made as asked; the message is one line."""


@dataclass(frozen=True)
class Run:
    """What a load generator saw. Latencies are in ms, `share` is its part of all cores."""

    seconds: float
    sent: int  # more than were answered, if the end came before some answers
    statuses: Counter[int]
    p50: float
    p99: float
    share: float
    answers: Sequence[Answer] = ()

    @property
    def requests(self) -> int:
        return self.statuses.total()

    @property
    def rate(self) -> float:
        """Requests a second that were decided: the name was given, or it is taken."""
        return (self.statuses[201] + self.statuses[409]) / self.seconds

    @property
    def registered(self) -> float:
        """Registrations a second."""
        return self.statuses[201] / self.seconds

    def latencies(self, *statuses: int) -> list[float]:
        """Of the requests with these answers, in ms; only a crowd knows."""
        return [answer.latency for answer in self.answers if answer.status in statuses]


def wrk(url: str, *names: str | int, seconds: float, connections: int = CONNECTIONS) -> Run:
    """Registrations, as `flood` sends them.

    Args:
        names: mode, name and count for registrations.lua.
    """
    return flood(f"{url}/api/v1/accounts", SCRIPT, *names, seconds=seconds, connections=connections)


def flood(
    url: str, script: Path, *arguments: object, seconds: float, connections: int = CONNECTIONS
) -> Run:
    """Closed loop: every connection sends its next request when it has the answer.

    Args:
        script: for wrk; it ends with the line that tally.lua prints.
        arguments: for the script.
    """
    command = [require_wrk(), "-t1", f"-c{connections}", f"-d{math.ceil(seconds)}s"]
    command += [f"--timeout={LONGEST_WAIT:.0f}s", "-s", str(script), url, "--"]
    output, share = _measured([*command, *map(str, arguments)], "", seconds)
    result = json.loads(output.splitlines()[-1])
    statuses = Counter({int(status): n for status, n in result["statuses"].items()})
    statuses[LOST] += result["lost"]
    sent = statuses.total() + connections  # each was waiting for one more
    return Run(result["seconds"], sent, +statuses, result["p50"], result["p99"], share)


def require_wrk() -> str:
    """Where wrk is, or a LoadError that says how to get it."""
    if program := shutil.which("wrk"):
        return program
    raise LoadError("wrk is not installed; on Debian: apt-get install wrk")


def crowd(plan: Plan) -> Run:
    """Each request at its time, on a connection of its own; see `kits.scheduled`."""
    last = min(plan.until, max(at for at, _ in plan.requests))
    command = [sys.executable, "-m", "kits.scheduled"]
    output, share = _measured(command, plan.to_json(), last + LONGEST_RUN)
    answers = [Answer(*each) for each in json.loads(output)]
    return _run(max(each.sent + each.latency / 1000 for each in answers), answers, share)


def one_after_another(plans: Iterable[Plan]) -> Run:
    """Several crowds; the time between them does not count."""
    runs = [crowd(plan) for plan in plans]
    answers = [answer for run in runs for answer in run.answers]
    return _run(sum(run.seconds for run in runs), answers, mean(run.share for run in runs))


def _run(seconds: float, answers: Sequence[Answer], share: float) -> Run:
    latencies = [answer.latency for answer in answers]
    statuses = Counter(answer.status for answer in answers)
    p50, p99 = percentile(latencies, 50), percentile(latencies, 99)
    return Run(seconds, len(answers), statuses, p50, p99, share, answers)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank; NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def _measured(command: Sequence[str], text: str, seconds: float) -> tuple[str, float]:
    """Output of a program, and its share of the machine while it ran."""
    before, started = _children(), time.monotonic()
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, timeout=seconds + GRACE, check=True
        )
    except subprocess.CalledProcessError as error:
        raise LoadError(f"{Path(command[0]).name} failed: {error.stderr.strip()}") from error
    used = _children() - before
    return done.stdout, used / (time.monotonic() - started) / (os.cpu_count() or 1)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
