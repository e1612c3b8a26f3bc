"""The command that gives back the names of deleted accounts, while they are raced for."""

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

PLACES = 3  # at a time
TIMEOUT = 60.0
LAST_HOUR = 3600  # of the quarantine, in which the username cache is told of it no more
AGE = """
    UPDATE accounts SET retired_at = now() - make_interval(secs => %s)
    WHERE retired_at IS NOT NULL RETURNING canonical_username
"""


def names_released(race: Race) -> None:
    """The quarantine of every deleted name comes to its last hour, Redis forgets them, and the
    command runs in several places while herds want one of them."""
    name = race.load.new_name()
    race.load.herd(name, HERD)
    race.load.leave(name)
    environ = _environ(race)
    quarantine = load(environ).name_quarantine
    with psycopg.connect(race.site.postgres.url, autocommit=True, connect_timeout=5) as connection:
        aged = connection.execute(AGE, (quarantine - LAST_HOUR,)).fetchall()
    if (name,) not in aged:
        raise Missed("nobody could delete the account")
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
    """Past the proxies: the command is not what breaks."""
    return {
        "COATCHECK_ENV": "testing",
        "DATABASE_URL": race.site.postgres.url,
        "REDIS_URL": race.site.redis.url,
    }
