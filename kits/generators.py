"""Load generators: wrk for a closed loop, `kits.scheduled` for barriers and arrival rates."""

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

from kits.scheduled import Response, Schedule

CONNECTIONS = 32
LONGEST_WAIT = 10.0  # seconds; a slower response counts as lost
LONGEST_RUN = 300.0  # seconds past the last arrival of a schedule
GRACE = 60.0  # seconds past the planned end; after that the generator itself must be stuck
LOST = 0  # the status of a request without a response


class LoadError(Exception):
    """The load could not be generated as requested; the message is one line."""


@dataclass(frozen=True)
class Run:
    """What a load generator saw. Latencies are in ms; `share` is the part of all cores it used."""

    seconds: float
    sent: int  # can exceed the number of responses if the run ended before some arrived
    statuses: Counter[int]
    p50: float
    p99: float
    share: float
    responses: Sequence[Response] = ()

    @property
    def requests(self) -> int:
        return self.statuses.total()

    @property
    def decided(self) -> float:
        """Registrations a second that succeeded or were rejected as taken."""
        return (self.statuses[201] + self.statuses[409]) / self.seconds

    @property
    def registered(self) -> float:
        """Registrations a second that succeeded."""
        return self.statuses[201] / self.seconds

    def latencies(self, *statuses: int) -> list[float]:
        """Of the responses with these statuses, in ms; known only for a schedule."""
        return [each.latency for each in self.responses if each.status in statuses]


def closed_loop(
    url: str, script: Path, *arguments: object, seconds: float, connections: int = CONNECTIONS
) -> Run:
    """Let wrk send on every connection, the next request as soon as it has the last response.

    Args:
        url: where to send.
        script: for wrk; ends with the line that tally.lua prints.
        arguments: for the script.
        seconds: how long.
        connections: how many.
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
    """The path of wrk.

    Raises:
        LoadError: wrk is missing; the message says how to install it.
    """
    if program := shutil.which("wrk"):
        return program
    raise LoadError("wrk is not installed; on Debian: apt-get install wrk")


def scheduled(schedule: Schedule) -> Run:
    """Send each request at its time, on a connection of its own."""
    last = min(schedule.until, max(at for at, _ in schedule.requests))
    command = [sys.executable, "-m", "kits.scheduled"]
    output, share = _measured(command, schedule.to_json(), last + LONGEST_RUN)
    responses = [Response(*each) for each in json.loads(output)]
    return _run(max(each.sent + each.latency / 1000 for each in responses), responses, share)


def one_after_another(schedules: Iterable[Schedule]) -> Run:
    """Run several schedules; the time between them does not count."""
    runs = [scheduled(schedule) for schedule in schedules]
    responses = [response for run in runs for response in run.responses]
    return _run(sum(run.seconds for run in runs), responses, mean(run.share for run in runs))


def _run(seconds: float, responses: Sequence[Response], share: float) -> Run:
    latencies = [response.latency for response in responses]
    statuses = Counter(response.status for response in responses)
    p50, p99 = percentile(latencies, 50), percentile(latencies, 99)
    return Run(seconds, len(responses), statuses, p50, p99, share, responses)


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest rank; NaN if there are no values."""
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def _measured(command: Sequence[str], text: str, seconds: float) -> tuple[str, float]:
    """The output of a program, and its share of the machine while it ran."""
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
