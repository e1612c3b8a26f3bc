"""What a session check costs as things grow: workers, connections, keys, sessions."""

from __future__ import annotations

from contextlib import ExitStack

import httpx

from kits.bench import accounts
from kits.bench.section import Section
from kits.bench.session_checks import CURRENT, VERIFY
from kits.bench.testbed import COATCHECK, Stage
from kits.bench.workloads import cookies, in_turn
from kits.command import Effort, Say

WORKERS = (1, 2, 4)
CONNECTIONS = (8, 32, 128, 512)
KEYS = (1, 30)
VALUE = "a value of a usual size"
BRIEF = 3.0  # seconds: nothing here is judged


def workers(stage: Stage, effort: Effort, say: Say) -> Section:
    """As many as there are cores, and fewer, and more."""
    with ExitStack() as stack:
        contenders = {n: stack.enter_context(stage.serve(COATCHECK, n)) for n in WORKERS}
        file = accounts.lines(stage, accounts.sign_up(contenders[WORKERS[0]]))
        visits = [
            cookies(f"{path}, {n} workers", contender, path, file)
            for path in (VERIFY, CURRENT)
            for n, contender in contenders.items()
        ]
        return Section("workers", "By workers", in_turn(visits, brief(effort), say))


def connections(stage: Stage, effort: Effort, say: Say) -> Section:
    """More of them than the workers can answer at a time: who waits, waits longer."""
    with stage.serve(COATCHECK) as contender:
        file = accounts.lines(stage, accounts.sign_up(contender))
        visits = [
            cookies(f"{path}, {n} connections", contender, path, file, n)
            for path in (VERIFY, CURRENT)
            for n in CONNECTIONS
        ]
        return Section("connections", "By connections", in_turn(visits, brief(effort), say))


def keys(stage: Stage, effort: Effort, say: Say) -> Section:
    """A session of few keys and one of many: all of them are read."""
    with stage.serve(COATCHECK) as contender:
        visits = []
        for n in KEYS:
            found = accounts.sign_up(contender)
            for cookie in found:
                _fill(contender.url, cookie, n)
            file = accounts.lines(stage, found)
            visits += [
                cookies(f"{path}, {n} keys", contender, path, file) for path in (VERIFY, CURRENT)
            ]
        return Section("keys", "By keys in the session", in_turn(visits, brief(effort), say))


def brief(effort: Effort) -> Effort:
    """As many rounds, none of them long."""
    return Effort(effort.rounds, min(effort.seconds, BRIEF))


def _fill(url: str, cookie: str, count: int) -> None:
    data = {f"key{n}": VALUE for n in range(count)}
    headers = {"Cookie": cookie}
    httpx.patch(f"{url}{CURRENT}/data", json=data, headers=headers).raise_for_status()
