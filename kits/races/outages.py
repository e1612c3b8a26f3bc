"""What an outage of a single Redis costs under load.

python -m kits.races.outages stopped      it hangs for ten seconds (SIGSTOP), and continues
python -m kits.races.outages killed       it is killed, and restarts on its append-only file
python -m kits.races.outages unplugged    the same after a power failure, as far as a program can
                                          imitate one: the file ends where it ended a second
                                          earlier, which is what `appendfsync everysec` may lose

Clients sign in, write, read and sign out meanwhile. Every response must come within 1.5 s and be a
success or a 503, no cookie may be deleted, every session must survive, and the last 503 must come
within 3 s of Redis's return, from the same workers. `unplugged` may lose what Redis acknowledged
within a second of the failure.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from kits.command import exit_on_sigterm
from kits.engines import forget_settings
from kits.races.outage_report import RECOVERY, report
from service.embedded import PostgresEngine, RedisEngine
from service.storage.migrations import migrate
from tests.servers import Server, gunicorn
from tests.session_clients import SessionClients

CLIENTS = 12
AROUND = 4.0  # seconds of load before the outage, and after the recovery
POWER_GAP = 0.95  # seconds of the append-only file that a power failure may take

Outage = Callable[[RedisEngine], None]


def stopped(redis: RedisEngine) -> None:
    """Let it accept connections and never answer."""
    redis.process.send_signal(signal.SIGSTOP)
    time.sleep(10)
    redis.process.send_signal(signal.SIGCONT)


def killed(redis: RedisEngine) -> None:
    """Crash Redis."""
    redis.kill()
    time.sleep(0.5)
    redis.start()


def unplugged(redis: RedisEngine) -> None:
    """Crash the machine: whatever Redis has not yet synchronized is gone."""
    log = redis.directory / "appendonly.aof"
    size = log.stat().st_size
    time.sleep(POWER_GAP)
    redis.kill()
    os.truncate(log, size)
    redis.start()


OUTAGES: dict[str, Outage] = {"stopped": stopped, "killed": killed, "unplugged": unplugged}


def run(redis: RedisEngine, server: Server, outage: Outage, output: Path) -> int:
    """Load, an outage, load; writes the report and returns the exit status."""
    clients = SessionClients(server.url, CLIENTS)
    workers = server.workers()
    with clients.running():
        time.sleep(AROUND)
        began = time.monotonic()
        outage(redis)
        back = time.monotonic()
        time.sleep(RECOVERY + AROUND)
    may_lose = ("sign-in", "sign-out", "write") if outage is unplugged else ()
    recovered, survived = clients.last(503) - back, server.workers() == workers
    note = f"Redis was away for {back - began:.1f} s."
    written = report(clients.judge(began, may_lose), recovered, survived, note)
    written.publish(output / "report.md")
    return 0 if written.passed else 1


def main() -> int:
    """Start everything, run the outage, and leave nothing behind but the report."""
    exit_on_sigterm()
    forget_settings()
    parser = argparse.ArgumentParser(
        prog="python -m kits.races.outages",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("outage", choices=OUTAGES)
    parser.add_argument("--output", type=Path, default=Path(".data/races"), help="a directory")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory(prefix="coatcheck-outages-")))
        redis = stack.enter_context(RedisEngine(directory / "redis"))
        postgres = stack.enter_context(PostgresEngine(directory / "postgres", durable=False))
        migrate(postgres.url)
        environ = {
            "COATCHECK_ENV": "testing",
            "COATCHECK_THROTTLING": "off",
            "COATCHECK_SESSIONS_PER_ACCOUNT": "1000",
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
        }
        server = stack.enter_context(gunicorn(directory, environ, workers=3))
        return run(redis, server, OUTAGES[options.outage], options.output)


if __name__ == "__main__":
    sys.exit(main())
