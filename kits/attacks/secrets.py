"""Every secret of a client, looked for in everything that the server keeps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from urllib.parse import urlsplit

from kits.attacks.deployment import Deployment, address
from kits.command import Say
from kits.report import TIMES, responses
from kits.verdict import Verdict
from tests.journeys import Journey
from tests.leaks import Secrets, postgres_contents, redis_contents

PEOPLE, AT_ONCE = 20, 4


def secrets(deployment: Deployment, say: Say, people: int = PEOPLE) -> Iterator[Verdict]:
    """Let people live through everything, each with a network, and search while their sessions
    live and after their accounts are gone."""
    say(f"{people} accounts, from registration to deletion")
    with ExitStack() as stack, ThreadPoolExecutor(AT_ONCE) as pool:
        journeys = [
            stack.enter_context(Journey(deployment.url, Secrets(), f"person{n}", address(n)))
            for n in range(1, people + 1)
        ]
        list(pool.map(Journey.live, journeys))
        found = leaks(deployment, journeys)
        list(pool.map(Journey.leave, journeys))
        found |= leaks(deployment, journeys)
    kinds = sum((journey.secrets.kinds for journey in journeys), Counter[str]())
    statuses = sum((journey.statuses for journey in journeys), Counter[int]())
    say(f"The responses: {responses(statuses)}")
    created = ", ".join(f"{count} {TIMES} {kind}" for kind, count in sorted(kinds.items()))
    what = "secrets of clients in the log, the audit trail, Redis and Postgres"
    measured = f"{'; '.join(sorted(found)) or 'none'}, of {created}"
    yield Verdict(what, "none", measured, not found)


def leaks(deployment: Deployment, journeys: Iterable[Journey]) -> set[str]:
    """Which kinds of secrets are where they should not be."""
    places = _places(deployment)
    return {leak for journey in journeys for leak in journey.secrets.found_in(places)}


def _places(deployment: Deployment) -> dict[str, bytes]:
    database = urlsplit(deployment.postgres.superuser_url)._replace(path="/coatcheck").geturl()
    audit = deployment.command("audit", "export")
    if audit.returncode:
        raise RuntimeError(audit.stderr.decode())
    return {
        "the log": deployment.server.log.read_bytes(),
        "the audit trail": audit.stdout + audit.stderr,
        "Redis": redis_contents(deployment.redis),
        "the file of Redis": b"".join(
            file.read_bytes() for file in deployment.redis_engine.directory.rglob("*.aof")
        ),
        "the log of Postgres": deployment.postgres.log.read_bytes(),
        "Postgres": postgres_contents(database),
    }
