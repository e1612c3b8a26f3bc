"""The command that releases the names of deleted accounts, during a race for those names."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import psycopg

from config import load
from kits.races.load import HERD
from kits.races.race import Missed, Race
from tests.servers import ROOT

PLACES = 3  # where the command runs at the same time
TIMEOUT = 60.0
LAST_HOUR = 3600  # of the quarantine: nothing is cached any more, since an entry could outlive it
AGE = """
    UPDATE accounts SET retired_at = now() - make_interval(secs => %s)
    WHERE retired_at IS NOT NULL RETURNING canonical_username
"""


def names_released(race: Race) -> None:
    """The quarantine of every deleted name reaches its last hour, Redis forgets them, and the
    command runs in several places while herds race for one of them."""
    name = race.load.new_name()
    race.load.herd(name, HERD)
    race.load.leave(name)
    environ = _environ(race)
    quarantine = load(environ).name_quarantine
    with psycopg.connect(
        race.deployment.postgres.url, autocommit=True, connect_timeout=5
    ) as connection:
        aged = connection.execute(AGE, (quarantine - LAST_HOUR,)).fetchall()
    if (name,) not in aged:
        raise Missed("no owner could delete the account")
    race.flush_redis()
    with ThreadPoolExecutor(PLACES) as places:
        commands = [places.submit(_release, environ) for _ in range(PLACES)]
        while not all(command.done() for command in commands):
            race.load.herd(name, HERD)
    for command in commands:
        command.result()


def _release(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "service", "accounts", "release-names"]
    subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environ},
        check=True,
        timeout=TIMEOUT,
        stdout=subprocess.DEVNULL,
    )


def _environ(race: Race) -> dict[str, str]:
    """Bypasses the proxy: the command is not what breaks."""
    return {
        "COATCHECK_ENV": "testing",
        "COATCHECK_THROTTLING": "off",
        "DATABASE_URL": race.deployment.postgres.url,
        "REDIS_URL": race.deployment.redis.url,
    }
