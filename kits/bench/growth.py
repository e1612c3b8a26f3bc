"""What a session check costs as workers, connections and keys grow in number."""

from __future__ import annotations

from contextlib import ExitStack

import httpx

from kits.bench import accounts
from kits.bench.contender import COATCHECK, Engines
from kits.bench.measurement import get_with_cookies, in_turn
from kits.bench.section import Section
from kits.bench.session_checks import CURRENT, VERIFY
from kits.command import Effort, Say

WORKERS = (1, 2, 4)
CONNECTIONS = (8, 32, 128, 512)
KEYS = (1, 30)
VALUE = "a value of typical size"
BRIEF = 3.0  # seconds: nothing here is judged


def workers(engines: Engines, effort: Effort, say: Say) -> Section:
    """Run fewer workers than there are cores, as many, and more."""
    with ExitStack() as stack:
        contenders = {n: stack.enter_context(engines.serve(COATCHECK, n)) for n in WORKERS}
        cookies = accounts.register(contenders[WORKERS[0]])
        file = accounts.write_lines(engines, cookies)
        loads = [
            get_with_cookies(f"{path}, {n} workers", contender, path, file)
            for path in (VERIFY, CURRENT)
            for n, contender in contenders.items()
        ]
        return Section("workers", "By workers", in_turn(loads, _brief(effort), say))


def connections(engines: Engines, effort: Effort, say: Say) -> Section:
    """Open more connections than the workers can answer at a time: the rest wait longer."""
    with engines.serve(COATCHECK) as contender:
        file = accounts.write_lines(engines, accounts.register(contender))
        loads = [
            get_with_cookies(f"{path}, {n} connections", contender, path, file, n)
            for path in (VERIFY, CURRENT)
            for n in CONNECTIONS
        ]
        return Section("connections", "By connections", in_turn(loads, _brief(effort), say))


def keys(engines: Engines, effort: Effort, say: Say) -> Section:
    """Check a session with few keys and one with many: every check reads all of them."""
    with engines.serve(COATCHECK) as contender:
        loads = []
        for n in KEYS:
            cookies = accounts.register(contender)
            for cookie in cookies:
                _fill(contender.url, cookie, n)
            file = accounts.write_lines(engines, cookies)
            loads += [
                get_with_cookies(f"{path}, {n} keys", contender, path, file)
                for path in (VERIFY, CURRENT)
            ]
        return Section("keys", "By keys in the session", in_turn(loads, _brief(effort), say))


def _brief(effort: Effort) -> Effort:
    return Effort(effort.rounds, min(effort.seconds, BRIEF))


def _fill(url: str, cookie: str, count: int) -> None:
    data = {f"key{n}": VALUE for n in range(count)}
    headers = {"Cookie": cookie}
    httpx.patch(f"{url}{CURRENT}/data", json=data, headers=headers).raise_for_status()
